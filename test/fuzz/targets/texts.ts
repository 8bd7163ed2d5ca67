import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { openHttp } from "@guestprobe/block";
import {
  bootVerdict,
  hostScript,
  inspectKernel,
  PROFILES,
  parseBzImage,
  parseElf,
  parseHostImage,
  parseXlDisk,
  parseXlGuest,
  parseXlSyntax,
  readPe,
  readTar,
  readXenNotes,
  recogniseInitrd,
  unpackPayload,
} from "@guestprobe/boot";
import { blsMenu, blsPlan, compareVersions, parseBlsEntry } from "@guestprobe/grub/bls";
import { editEnvironment, parseEnvironment } from "@guestprobe/grub/env";
import {
  legacyMenu,
  legacyPlan,
  liloMenu,
  liloPlan,
  parseLegacy,
  parseLilo,
  translateLegacy,
} from "@guestprobe/grub/legacy";
import {
  DIALECTS,
  type DialectName,
  memoryWorld,
  type Platform,
  parseScript,
  runText,
  sourceFromFile,
} from "@guestprobe/grub/script";
import { parseSyslinux, syslinuxMenu, syslinuxPlan } from "@guestprobe/grub/syslinux";
import {
  fakePayload,
  LINUX_NOTES,
  LZ4_MAGIC,
  makeBzImage,
  makeCpio,
  makeElf,
  makeGrubImage,
  makeTar,
  PVH_NOTES,
} from "../../../packages/boot/test/build.js";
import { guestView } from "../../../packages/boot/test/guest-view.js";
import { Happened, type Seed, type Target } from "../lib/target.js";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const seed = (name: string, content: string | Uint8Array): Seed => ({
  name,
  bytes: typeof content === "string" ? encode(content) : content,
});

const recordings = new URL("../../fixtures/grub-script/", import.meta.url);

/** The scripts of the recordings: real configurations, and each command of the language. */
function scripts(): readonly Seed[] {
  return ["real", "control", "words", "menu", "test", "devices", "foreign"].flatMap((set) => {
    const cases = JSON.parse(readFileSync(new URL(`${set}.json`, recordings), "utf8")) as readonly {
      readonly name: string;
      readonly files: Readonly<Record<string, string>>;
    }[];
    return cases.flatMap(({ name, files }) =>
      files["/case.cfg"] === undefined ? [] : [seed(`${set}: ${name}`, files["/case.cfg"])],
    );
  });
}

const SCRIPT_WORDS = [
  "if ",
  "then\n",
  "elif ",
  "else\n",
  "fi\n",
  "while ",
  "until ",
  "do\n",
  "done\n",
  "for x in ",
  "function f {\n",
  "}\n",
  "menuentry 'x' {\n",
  "submenu y --id z {\n",
  "set a=",
  "$a",
  "${a}",
  "$1",
  "$@",
  "$*",
  "$#",
  "$?",
  "source /f\n",
  "configfile /f\n",
  "search --set=root -f /f\n",
  "regexp --set=1:b '(.*)' ",
  "eval ",
  "[ -f /f ]",
  "test ",
  "linux /vmlinuz ",
  "initrd /i\n",
  "boot\n",
  "insmod x\n",
  "load_env\n",
  "export a\n",
  "unset a\n",
  "echo ",
  "cat /f\n",
  "break 2\n",
  "continue\n",
  "return 3\n",
  "shift\n",
  "setparams ",
  "blscfg\n",
  "legacy_configfile /menu.lst\n",
  "chainloader +1\n",
  "multiboot2 /x\n",
  "normal\n",
  "default=",
  "fallback=",
  "timeout=",
  "(hd0,gpt1)",
  "(hd0)",
  "*",
  "?",
  "\\\n",
  "#",
  ";",
  "&",
  "|",
  "<",
  ">",
  "''",
  '""',
];

const world = memoryWorld([
  ["(hd0,msdos1)/f", "set x=1\nmenuentry f { linux /vmlinuz root=$x\ninitrd /i }\n"],
  ["(hd0,msdos1)/vmlinuz", makeBzImage({ payload: fakePayload(LZ4_MAGIC) })],
  ["(hd0,msdos1)/i", "initrd"],
  ["(hd0,msdos1)/menu.lst", "default 0\ntitle a\nroot (hd0,0)\nkernel /vmlinuz ro\ninitrd /i\n"],
  ["(hd0,msdos1)/grubenv", `# GRUB Environment Block\na=b\n${"#".repeat(1000)}`],
  ["(hd0,msdos1)/loader/entries/a.conf", "title a\nlinux /vmlinuz\ninitrd /i\noptions $kernelopts\n"],
]);
const DIALECT_NAMES = Object.keys(DIALECTS) as DialectName[];
const PLATFORMS: readonly Platform[] = ["xen", "xen_pvh", "pc", "efi"];
/** A tenth of what a script may use by default: the bounds are the same code. */
const LIMITS = {
  steps: 20_000,
  expansion: 1 << 22,
  fileBytes: 1 << 22,
  globbed: 100_000,
  output: 1 << 19,
  matching: 100_000,
};

const script: Target = {
  name: "grub-script",
  words: SCRIPT_WORDS,
  seeds: scripts,
  async exercise(data, variant) {
    const happened = new Happened();
    const units = await happened.attempt(() => parseScript(sourceFromFile("fuzz.cfg", data)));
    happened.note(`units ${Math.min(8, units?.length ?? -1)}`);
    const run = await happened.attempt(() =>
      runText("fuzz.cfg", data, {
        world,
        dialect: DIALECT_NAMES[variant % DIALECT_NAMES.length]!,
        platform: PLATFORMS[(variant >> 4) % PLATFORMS.length]!,
        limits: LIMITS,
      }),
    );
    if (run === undefined) return happened.what;
    happened.note(
      run.reason,
      run.error?.message ?? "",
      ...new Set(run.transcript.map(({ kind, text }) => (kind === "error" ? text.slice(0, 24) : kind))),
    );
    const booted = await happened.attempt(() => run.boot());
    happened.note(
      booted?.reason ?? "",
      ...(booted?.doubts ?? []).map((doubt) => `doubt ${JSON.stringify(doubt).slice(0, 24)}`),
    );
    return happened.what;
  },
};

/** A guest whose configuration is the input: the loaders of every host run on it. */
const verdict: Target = {
  name: "boot-verdict",
  words: [
    ...SCRIPT_WORDS,
    "title x\n",
    "root (hd0,0)\n",
    "kernel /vmlinuz\n",
    "default saved\n",
    "LABEL l\n",
    "KERNEL k\n",
  ],
  seeds: () => [...scripts().slice(0, 12), ...menus().slice(0, 4)],
  async exercise(data, variant) {
    const happened = new Happened();
    const paths = [
      "/boot/grub/grub.cfg",
      "/boot/grub/menu.lst",
      "/boot/extlinux.conf",
      "/boot/grub2/grub.cfg",
      "/etc/fstab",
    ];
    const path = paths[variant % paths.length]!;
    const kernel = makeBzImage({ payload: fakePayload(LZ4_MAGIC) });
    const files = { [path]: data, "/vmlinuz": kernel, "/boot/vmlinuz": kernel, "/i": "x", "/etc/os-release": data };
    const view = guestView({ "xen/xvda,msdos1": { files }, "xen/xvdb": { files, hidden: "why not" } });
    for (const profile of PROFILES) {
      const result = await happened.attempt(() => bootVerdict(view, { profile }));
      const said = result?.summary.replace(/[`"'][^`"']*[`"']|\d+/g, "#").slice(0, 60);
      happened.note(`${profile.id} ${result?.answer} ${said}`);
    }
    return happened.what;
  },
};

function menus(): readonly Seed[] {
  return [
    seed(
      "Debian",
      '# menu.lst\ndefault=saved\ntimeout 5\nfallback 0 2\npassword --md5 $1$x\n## default kernel options\n# kopt=root=/dev/xvda1 ro\n# groot=(hd0,0)\ntitle Debian\nroot (hd0,0)\nkernel /boot/vmlinuz root=/dev/xvda1 ro "quoted"\ninitrd /boot/initrd\nsavedefault\n\ntitle Xen\nkernel (hd0)/boot/xen.gz\nmodule /boot/vmlinuz\nmodule /boot/initrd\ntitle other\nrootnoverify (hd0,1)\nchainloader +1\nmap (hd0) (hd1)\n',
    ),
    seed(
      "find",
      "find --set-root /boot/vmlinuz\nhiddenmenu\ncolor cyan/blue\ntitle a\nuuid 0a1b\nkernel --type=linux /k a=b\n",
    ),
    seed(
      "EC2",
      "default 0\ntimeout 0\nhiddenmenu\ntitle Amazon\nroot (hd0)\nkernel /boot/vmlinuz root=LABEL=/ console=hvc0\ninitrd /boot/initrd.img\n",
    ),
    seed("split", "title a\\\n b\nroot\t(hd0,a)\nkernel=/boot/x\ninitrd   /i\n"),
  ];
}

const menuLst: Target = {
  name: "menu.lst",
  words: [
    "title ",
    "root (hd0,0)\n",
    "kernel /k ",
    "module ",
    "initrd ",
    "default ",
    "fallback ",
    "saved",
    "=",
    "# kopt=",
    "## ",
    "\\\n",
    "uuid ",
    "lock\n",
  ],
  seeds: menus,
  async exercise(data) {
    const happened = new Happened();
    const config = await happened.attempt(() => parseLegacy("menu.lst", data));
    if (config !== undefined) {
      const menu = legacyMenu(config);
      for (const index of menu.entries.keys()) legacyPlan(config, index);
      happened.note(`entries ${Math.min(9, menu.entries.length)} ${menu.default.why.slice(0, 12)}`);
    }
    const translated = await happened.attempt(() => translateLegacy("menu.lst", data));
    happened.note(`steps ${Math.min(20, translated?.steps.length ?? -1)}`);
    return happened.what;
  },
};

const lilo: Target = {
  name: "lilo",
  words: [
    "image=",
    "other=",
    "label=",
    "alias=",
    "root=",
    'append="',
    "default=",
    "timeout=",
    "initrd=",
    "read-only\n",
    "literal=",
    '\\"',
  ],
  seeds: () => [
    seed(
      "two",
      'default=linux\ntimeout=50\nprompt\nimage=/boot/vmlinuz\n  label=linux\n  root=/dev/sda1\n  append="a=\\"b\\" c"\n  initrd=/i\n  read-only\nother=/dev/sda2\n  label=dos\n  table=/dev/sda\n',
    ),
  ],
  async exercise(data) {
    const happened = new Happened();
    const config = await happened.attempt(() => parseLilo("lilo.conf", data));
    if (config === undefined) return happened.what;
    const menu = liloMenu(config);
    for (const index of menu.entries.keys()) liloPlan(config, index);
    happened.note(`entries ${Math.min(9, menu.entries.length)} ${menu.default.why.slice(0, 12)}`);
    return happened.what;
  },
};

const bls: Target = {
  name: "bls",
  words: [
    "title ",
    "linux ",
    "initrd ",
    "options ",
    "version ",
    "grub_users ",
    "$kernelopts",
    "machine-id ",
    "*",
    "~",
    "-",
    ".conf",
  ],
  seeds: () => [
    seed(
      "entry",
      "title Fedora\nversion 6.1\nlinux /vmlinuz-6.1\ninitrd /initrd\ninitrd /second\noptions root=UUID=x $tuned_params\ngrub_users $grub_users\ngrub_class fedora\n",
    ),
  ],
  async exercise(data) {
    const happened = new Happened();
    const text = decode(data);
    const entries = [true, false].map((strict) => parseBlsEntry(`${text.slice(0, 40)}.conf`, data, strict));
    entries.push(parseBlsEntry("other-1.2-3.conf", encode("title o\nlinux /o\n")));
    const wanted = text.slice(0, 4096);
    const menu = blsMenu(entries, { default: wanted });
    for (const index of menu.entries.keys()) blsPlan(entries, index, {});
    compareVersions(text, [...text].reverse().join(""));
    happened.note(
      `entries ${menu.entries.length} ${menu.default.why.slice(0, 12)}`,
      `fields ${entries[0]?.fields.length}`,
    );
    return happened.what;
  },
};

const grubenv: Target = {
  name: "grubenv",
  words: ["# GRUB Environment Block\n", "saved_entry=", "\\\n", "\\\\", "=", "#####"],
  seeds: () => [seed("block", `# GRUB Environment Block\nsaved_entry=gnulinux\nnext_entry=a\\\nb\n${"#".repeat(900)}`)],
  async exercise(data) {
    const happened = new Happened();
    const block = await happened.attempt(() => parseEnvironment(data));
    happened.note(`variables ${Math.min(9, block?.variables.length ?? -1)}`);
    const edited = await happened.attempt(() => editEnvironment(data, "saved_entry", "x\ny\\"));
    if (edited !== undefined && edited.length !== data.length) throw new Error("editing changed the size of the block");
    return happened.what;
  },
};

const syslinux: Target = {
  name: "syslinux",
  words: [
    "LABEL ",
    "KERNEL ",
    "APPEND ",
    "INITRD ",
    "MENU LABEL ",
    "MENU BEGIN ",
    "MENU END\n",
    "INCLUDE ",
    "DEFAULT ",
    "ONTIMEOUT ",
    "TEXT HELP\n",
    "ENDTEXT\n",
    "-",
    "^",
  ],
  seeds: () => [
    seed(
      "menu",
      "DEFAULT linux\nPROMPT 0\nTIMEOUT 50\nMENU TITLE boot\nLABEL linux\n  MENU LABEL ^Linux\n  MENU DEFAULT\n  KERNEL /vmlinuz\n  APPEND ro root=/dev/xvda1 initrd=/i\nMENU BEGIN more\nMENU TITLE deeper\nLABEL other\n  LINUX vmlinuz.c32\n  INITRD a,b\nTEXT HELP\nwords\nENDTEXT\nMENU END\nINCLUDE self.cfg\n",
    ),
  ],
  async exercise(data) {
    const happened = new Happened();
    const config = await happened.attempt(() => parseSyslinux("syslinux.cfg", data, { read: async () => data }));
    if (config === undefined) return happened.what;
    const menu = syslinuxMenu(config);
    for (const index of [...config.entries.keys()].slice(0, 200)) syslinuxPlan(config, index);
    happened.note(
      `entries ${Math.min(9, menu.entries.length)}`,
      ...config.problems.map(({ what }) => what.slice(0, 16)),
    );
    return happened.what;
  },
};

const xl: Target = {
  name: "xl",
  words: [
    "disk = [",
    "'phy:/dev/x,xvda,w'",
    '"',
    "'",
    "[",
    "]",
    ",",
    "=",
    "kernel=",
    "extra=",
    "format=qcow2",
    "vdev=",
    "target=",
    "0x",
    "type='pvh'\n",
    '"""',
  ],
  seeds: () => [
    seed(
      "guest",
      "# guest\nname = \"guest\"\ntype = 'pvh'\nmemory = 512\nkernel = '/usr/lib/grub-xen/grub-x86_64-xen.bin'\nextra = \"(hd0,0)/boot/grub/menu.lst\"\ndisk = [ 'phy:/dev/vg/guest,xvda,w', 'format=qcow2, vdev=xvdb, access=ro, target=/a b' ]\nvif = ['']\n",
    ),
  ],
  async exercise(data) {
    const happened = new Happened();
    const values = await happened.attempt(() => parseXlSyntax(data));
    const guest = await happened.attempt(() => parseXlGuest(data));
    await happened.attempt(() => parseXlDisk(decode(data)));
    happened.note(`values ${values?.size}`, `disks ${guest?.disks.length}`);
    return happened.what;
  },
};

const elf: Target = {
  name: "elf",
  seeds: () => [
    seed("64 bits", makeElf({ notes: LINUX_NOTES, load: new Uint8Array(64).fill(0x90) })),
    seed("32 bits, sections", makeElf({ bits: 32, notes: LINUX_NOTES, notesIn: "section" })),
    seed("big-endian", makeElf({ big: true, notes: PVH_NOTES })),
    seed(
      "text notes",
      makeElf({ bits: 32, guest: "GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,PAE=yes,LOADER=generic" }),
    ),
  ],
  async exercise(data) {
    const happened = new Happened();
    const image = await happened.attempt(() => parseElf(data));
    if (image === undefined) return happened.what;
    const notes = await happened.attempt(() => readXenNotes(image));
    happened.note(
      `${image.segments.length} ${image.sections.length} ${notes?.source} ${Object.keys(notes ?? {}).join()}`,
    );
    return happened.what;
  },
};

const kernel: Target = {
  name: "kernel",
  seeds: () => [
    seed("bzImage", makeBzImage({ payload: fakePayload(LZ4_MAGIC) })),
    seed("gzip ELF", makeBzImage({ payload: new Uint8Array(gzipSync(makeElf({ notes: LINUX_NOTES }))) })),
    seed("gzip alone", new Uint8Array(gzipSync(makeElf({ notes: LINUX_NOTES })))),
  ],
  async exercise(data) {
    const happened = new Happened();
    const found = await happened.attempt(() => inspectKernel(data));
    const setup = await happened.attempt(() => parseBzImage(data));
    await happened.attempt(() => unpackPayload(data));
    happened.note(
      `${found?.kind} ${found?.compression} ${found?.error?.message}`,
      `${setup?.protocol}`,
      `${readPe(data)?.sections.length}`,
    );
    return happened.what;
  },
};

const hostImage: Target = {
  name: "host-image",
  seeds: () => [
    seed(
      "memdisk",
      makeGrubImage([
        [1, makeTar("grub.cfg", "configfile (hd0)/x\n")],
        [2, encode("normal (memdisk)/grub.cfg\0")],
        [3, encode("(memdisk)/boot/grub\0")],
      ]),
    ),
  ],
  async exercise(data) {
    const happened = new Happened();
    const image = await happened.attempt(() => parseHostImage(data));
    happened.note(`${image?.objects?.length ?? "none"} ${image === undefined ? "" : hostScript(image)?.name}`);
    happened.note(`tar ${(await happened.attempt(() => readTar(data)))?.length}`);
    return happened.what;
  },
};

const initrd: Target = {
  name: "initrd",
  words: ["070701", "070702", "TRAILER!!!", "\x1f\x8b\x08"],
  seeds: () => [
    seed("cpio", makeCpio(["init", "bin/sh"])),
    seed(
      "early and gzip",
      Buffer.concat([makeCpio(["kernel/x86/microcode/GenuineIntel.bin"]), gzipSync(makeCpio(["init"]))]),
    ),
  ],
  async exercise(data) {
    const happened = new Happened();
    const found = await happened.attempt(() =>
      recogniseInitrd(data.length, async (offset, length) => data.subarray(offset, offset + length)),
    );
    happened.note(...(found?.parts.map((part) => JSON.stringify(part).replace(/\d+/g, "#").slice(0, 40)) ?? []));
    return happened.what;
  },
};

/** What a server says of itself: status, then headers, one a line, then a blank line and a body. */
const http: Target = {
  name: "http",
  words: [
    "Content-Range: bytes 0-0/4096\n",
    'ETag: W/"x"\n',
    "Content-Encoding: gzip\n",
    "206\n",
    "200\n",
    "bytes */",
    "18446744073709551616",
    "-1",
  ],
  seeds: () => [
    seed("sound", 'Content-Range: bytes 0-0/4096\nETag: "x"\nLast-Modified: Sun, 29 Nov 2026 06:00:00 GMT\n\n0'),
  ],
  async exercise(data, variant) {
    const happened = new Happened();
    const [head = "", body = ""] = decode(data).split("\n\n", 2);
    const status = [206, 206, 206, 200, 404, 412, 416][variant % 7]!;
    const serve = async (): Promise<Response> => {
      const headers = new Headers();
      for (const line of head.split("\n")) {
        const at = line.indexOf(":");
        try {
          headers.append(line.slice(0, at), line.slice(at + 1));
        } catch {
          // No server's library lets such a header through to `fetch`.
        }
      }
      return new Response(body, { status, headers });
    };
    const device = await happened.attempt(() => openHttp("http://guest.example/disk.img", { fetch: serve }));
    happened.note(`size ${device === undefined ? "none" : Number.isSafeInteger(device.size)}`);
    if (device !== undefined) await happened.attempt(() => device.read(0, Math.min(device.size, 64)));
    return happened.what;
  },
};

export const TEXT_TARGETS: readonly Target[] = [
  script,
  verdict,
  menuLst,
  bls,
  grubenv,
  syslinux,
  lilo,
  xl,
  elf,
  kernel,
  hostImage,
  initrd,
  http,
];
