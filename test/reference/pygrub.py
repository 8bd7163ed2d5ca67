"""What pygrub's own parsers make of configurations: JSON lines in, JSON lines out."""
import json
import logging
import sys

sys.path.insert(0, sys.argv[1])
logging.disable(logging.CRITICAL)
from grub.ExtLinuxConf import ExtLinuxConfigFile
from grub.GrubConf import Grub2ConfigFile, GrubConfigFile

PARSERS = {"grub2": Grub2ConfigFile, "legacy": GrubConfigFile, "extlinux": ExtLinuxConfigFile}

for line in sys.stdin:
    kind, text = json.loads(line)
    config = PARSERS[kind]()
    config.filename = "/boot/x"
    try:
        config.parse(text)
        index = config.default
        image = config.images[index] if index < len(config.images) else config.images[0]
        initrd = image.initrd[1] if image.initrd else None
        answer = {"title": image.title, "kernel": image.kernel[1], "args": image.args or "", "initrd": initrd}
    except Exception:
        answer = None
    print(json.dumps(answer), flush=True)
