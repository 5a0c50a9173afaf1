"""One run: from a config to a trained model, and from a run directory back to one.

    config     what can be set              resolve    presets, files, flags and data to one config
    loop       the training loop            run        the run directory: lock, resume, report
    order      which signals, when          loader     reading them
    phases     objectives, one by one       optimizer  optimizers and the learning rate
    precision  fp32 or bf16                 distributed  several processes
    state      all that resume needs        log        metrics and progress
    model      a trained model in use       score      how well it encodes so far
    heldout, gallery, sheets, evaluate   what a trained model shows

Nothing here knows a modality.
"""
