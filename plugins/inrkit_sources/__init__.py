"""Data sets that are no stores.

inrkit train --data photos
inrkit train --data 'files://photos?size=64x64&skip_broken=true'
"""

import inrkit

INRKIT_API = 1


@inrkit.hookimpl
def register_sources(register: inrkit.Register) -> None:
    register("files", "inrkit_sources.files:FilesOpener", "files that an importer reads, imported once")
