import { isImageError } from "@guestprobe/block";
import { parseXlDisk, parseXlGuest, parseXlSyntax } from "@guestprobe/boot";
import { describe, expect, test } from "vitest";

const read = (text: string) => parseXlGuest(new TextEncoder().encode(text));

describe("configurations in the styles of the documentation", () => {
  test("positional disks, pygrub", () => {
    const guest = read(`# a guest
name = "one"
memory = 512
bootloader = "pygrub"
bootloader_args = [ "--entry=1", "-q" ]
disk = [ '/dev/vg/guest,raw,xvda,rw', "/srv/data.qcow2,qcow2,xvdb" ]
`);
    expect(guest).toMatchObject({ name: "one", type: "pv", bootloader: "pygrub", bootloaderArgs: ["--entry=1", "-q"] });
    expect(guest.disks).toEqual([
      { target: "/dev/vg/guest", format: "raw", vdev: "xvda", cdrom: false, readonly: false },
      { target: "/srv/data.qcow2", format: "qcow2", vdev: "xvdb", cdrom: false, readonly: false },
    ]);
  });

  test("key=value disks, PVH, a target with commas", () => {
    const guest = read(`type = "pvh"; kernel = "/usr/lib/grub-xen/grub-i386-xen_pvh.bin"
disk = [
  'vdev=xvda1, format=raw, access=ro, target=/srv/a,b.img',  # the rest is the target
  'format=qcow2,vdev=xvda2,target=/srv/swap.qcow2',
]
root = "/dev/xvda1 ro"
extra = 'quiet'
`);
    expect(guest).toMatchObject({ type: "pvh", cmdline: "root=/dev/xvda1 ro quiet" });
    expect(guest.disks.map(({ target, vdev, readonly }) => [target, vdev, readonly])).toEqual([
      ["/srv/a,b.img", "xvda1", true],
      ["/srv/swap.qcow2", "xvda2", false],
    ]);
  });

  test("old prefixes, pv-grub, an empty drive, cmdline over extra", () => {
    const guest = read(`builder = 'generic'
kernel = "/usr/lib/xen/boot/pv-grub-x86_64.gz"
extra = "(hd0,0)/boot/grub/menu.lst"
cmdline = '(hd0)/menu.lst'
disk = [ 'phy:/dev/vg/guest,xvda,w', 'tap:aio:/srv/b.img,xvdb,r', ',hdc:cdrom,r' ]
disk += [ 'file:/srv/c.iso,hdd:cdrom,r' ]
`);
    expect(guest).toMatchObject({ type: "pv", cmdline: "(hd0)/menu.lst" });
    expect(guest.disks.map(({ target, vdev, cdrom, readonly }) => [target, vdev, cdrom, readonly])).toEqual([
      ["/dev/vg/guest", "xvda", false, false],
      ["/srv/b.img", "xvdb", false, true],
      ["", "hdc", true, true],
      ["/srv/c.iso", "hdd", true, true],
    ]);
  });
});

test("values: escapes, numbers, nested lists", () => {
  const values = parseXlSyntax(new TextEncoder().encode(`a="\\x41\\n\\""; b=0x10; c=010\nd=[1,['x',],]`));
  expect(Object.fromEntries(values)).toEqual({ a: 'A\n"', b: 16, c: 8, d: [1, ["x"]] });
});

describe("what xl refuses", () => {
  const K = 'kernel="k"\n';
  const cases: readonly (readonly [name: string, text: string])[] = [
    ["no boot method", 'name="x"\n'],
    ["a key in capitals", `${K}Name="x"\n`],
    ["no value", `${K}name=\n`],
    ["no equals sign", `${K}name "x"\n`],
    ["an open string", `${K}name="x\n`],
    ["a string over two lines", `${K}name="x\ny"\n`],
    ["an open list", `${K}disk=[ '/a,raw,xvda,rw'\n`],
    ["a list without commas", `${K}disk=[ '/a,raw,xvda,rw' '/b,raw,xvdb,rw' ]\n`],
    ["a continued line", `${K}disk = [ '/a,raw,xvda,rw' ] \\\n`],
    ["an expression", `${K}memory = 256 * 2\n`],
    ["a variable", `${K}disk = disks\n`],
    ["a bad octal number", `${K}memory = 09\n`],
    ["two assignments on a line", `${K}a=1 b=2\n`],
    ["a type that is none", `${K}type="pvhvm"\n`],
    ["a disk that is no string", `${K}disk=[ 1 ]\n`],
    ["disks that are no list", `${K}disk='/a,raw,xvda,rw'\n`],
    ["a disk without vdev", `${K}disk=[ '/a,raw' ]\n`],
    ["a disk without target", `${K}disk=[ 'vdev=xvda' ]\n`],
    ["an unknown format", `${K}disk=[ '/a,vmdk,xvda,rw' ]\n`],
    ["an unknown access", `${K}disk=[ '/a,raw,xvda,x' ]\n`],
    ["a vdev that is none", `${K}disk=[ '/a,raw,nvme0n1,rw' ]\n`],
    ["a vdev given twice", `${K}disk=[ '/a,raw,xvda,rw', '/b,raw,xvda,rw' ]\n`],
    ["a key given twice", `${K}disk=[ 'vdev=xvda,vdev=xvdb,target=/a' ]\n`],
    ["too many words", `${K}disk=[ '/a,raw,xvda,rw,more' ]\n`],
    ["kernel and firmware", `${K}firmware="pvgrub64"\n`],
    ["strings joined to a list", `${K}disk=[]\ndisk += 'x'\n`],
  ];
  for (const [name, text] of cases) {
    test(name, () => {
      let caught: unknown;
      try {
        read(text);
      } catch (error) {
        caught = error;
      }
      expect(isImageError(caught, "corrupt"), String(caught)).toBe(true);
    });
  }

  test("lists inside each other, and a huge file, end at a limit", () => {
    expect(() => parseXlSyntax(new TextEncoder().encode(`a=${"[".repeat(100_000)}`))).toThrow(/inside each other/);
    expect(() => parseXlSyntax(new Uint8Array((1 << 20) + 1))).toThrow(/at most/);
  });

  test("a relative target is a device of the host", () => {
    expect(parseXlDisk("vg/guest,raw,xvda,w").target).toBe("/dev/vg/guest");
  });
});
