"""What inrkit itself offers by name, through the same hooks as everybody."""

from inrkit.hookspecs import Register, hookimpl


@hookimpl
def register_objectives(register: Register) -> None:
    home = "inrkit.core.objective"
    register("inrct", f"{home}.inrct:Inrct", "consistency training of INRs by generation, reconstruction and denoising")
    register("reconstruction", f"{home}.inrct:Reconstruction", "reconstruction of clean signals alone")
    register("ect", f"{home}.continuous:Ect", "easy consistency tuning, in continuous time")
    register("ict", f"{home}.discrete:Ict", "improved consistency training, in discrete time")
    register("ct", f"{home}.discrete:Ct", "consistency training with a moving average as its teacher")
    register("cm-func", f"{home}.discrete:CmFunc", "consistency training of functions")
    register("cd", f"{home}.distill:Cd", "consistency distillation of a diffusion model")
    register("diffusion", f"{home}.continuous:Diffusion", "denoising, as diffusion models are trained")


@hookimpl
def register_samplers(register: Register) -> None:
    home = "inrkit.core.sample"
    register("consistency", f"{home}:ConsistencySampler", "one step, or a few with fresh noise between them")
    register("heun", f"{home}:HeunSampler", "Heun's method along the ODE of a diffusion model")
    register("euler", f"{home}:EulerSampler", "Euler's method along the ODE of a diffusion model (DDIM)")


@hookimpl
def register_exporters(register: Register) -> None:
    home = "inrkit.inference.export"
    register("mesh", f"{home}:MeshExporter", "the surface of a solid as triangles")
    register("weights", f"{home}:WeightsExporter", "the params of the function as .safetensors")
    home = "inrkit.inference.viewer"
    register("html", f"{home}:PageExporter", "a page that evaluates the function in the browser, by WebGL2")
    register("glsl", f"{home}:GlslExporter", "the function as GLSL ES 3.00, with its numbers beside it")
    home = "inrkit.inference.programs"
    register("onnx", f"{home}:OnnxExporter", "the function, or a run's encoder, as ONNX; needs the extra 'onnx'")
    register("pt2", f"{home}:Pt2Exporter", "the function, or a run's encoder, as torch.export writes it")
