import { memoryWorld, parseScript, runFile, runText, sourceFromFile } from "@guestprobe/grub/script";
import { describe, expect, it } from "vitest";

const bytes = (text: string) => new TextEncoder().encode(text);
const world = memoryWorld([
  ["(xen/xvda,msdos1)/vmlinuz", "k"],
  ["(xen/xvda,msdos1)/initrd", "i"],
]);

describe("the syntax tree", () => {
  it("every node keeps file, line, column and byte", () => {
    const units = parseScript(
      sourceFromFile("x.cfg", bytes("echo ä; if true; then\n  menuentry 'é' { linux /k; }\nfi\n")),
    );
    expect(units).toHaveLength(1);
    const [echo, condition] = units[0]!.commands;
    expect(echo?.at).toEqual({ file: "x.cfg", line: 1, column: 1, byte: 0 });
    expect(condition?.at).toEqual({ file: "x.cfg", line: 1, column: 9, byte: 9 });
    const entry = condition?.kind === "if" ? condition.body[0] : undefined;
    expect(entry?.at).toEqual({ file: "x.cfg", line: 2, column: 3, byte: 25 });
    const block = entry?.kind === "simple" ? entry.block : undefined;
    expect(block?.at).toEqual({ file: "x.cfg", line: 2, column: 17, byte: 40 });
    expect(block?.commands[0]?.at).toEqual({ file: "x.cfg", line: 2, column: 19, byte: 42 });
  });

  it("a refused unit says what was found, and where", () => {
    const [first, second] = parseScript(sourceFromFile("x.cfg", bytes("echo a &&\nfoo $ bar\n")));
    expect(first?.problem).toMatchObject({ message: "unexpected `&&'", at: { line: 1, column: 8 } });
    expect(second?.problem).toMatchObject({ at: { line: 2, column: 5 } });
  });
});

describe("plans", () => {
  it("each part with the line that decided it", async () => {
    const run = await runText(
      "cfg",
      "set root='(xen/xvda,msdos1)'\nset timeout=1\nset default=a\nmenuentry t --id a {\n  linux /vmlinuz root=/dev/xvda1 'two words' ro\n  initrd /initrd\n}\n",
      { world },
    );
    expect(run.menu?.default).toMatchObject({ path: [0], at: { line: 3 } });
    const { plan, reason } = await run.boot();
    expect(reason).toBe("boot");
    expect(plan).toMatchObject({
      title: "t",
      command: "linux",
      kernel: { device: "xen/xvda,msdos1", path: "/vmlinuz", at: { line: 5, column: 3 } },
      cmdline: 'root=/dev/xvda1 "two words" ro',
      initrds: [{ path: "/initrd", at: { line: 6 } }],
      root: { device: "xen/xvda,msdos1", at: { line: 1 } },
      locked: false,
    });
  });

  it("a missing kernel is an error, and the fallback is taken", async () => {
    const run = await runText(
      "cfg",
      "timeout=0\nfallback=1\nmenuentry a { linux /none; initrd /initrd; }\nmenuentry b { linux /vmlinuz; }\n",
      { world },
    );
    const { plan, reason } = await run.boot();
    expect(reason).toBe("boot");
    expect(plan).toMatchObject({ path: [1], title: "b", kernel: { path: "/vmlinuz" } });
    expect(plan.problems.map(({ what }) => what)).toEqual([
      "file `/none' not found",
      "you need to load the kernel first",
    ]);
  });

  it("without a timeout GRUB waits; an entry can be named all the same", async () => {
    const run = await runText(
      "cfg",
      "menuentry a { linux /vmlinuz; }\nsubmenu s { menuentry b { linux /vmlinuz b; }; }\n",
      { world },
    );
    expect(run.menu?.timeout).toBeUndefined();
    expect((await run.boot()).reason).toBe("waits-for-key");
    expect((await run.boot("s>b")).plan).toMatchObject({ path: [1, 0], cmdline: "b" });
    expect((await run.boot([0])).plan).toMatchObject({ path: [0], cmdline: "" });
  });

  it("commands of an entry, as the editor shows and starts them", async () => {
    const script = `timeout=5
set default=1
menuentry "it's a" x {

	echo "$1 $2 $chosen"
	linux /vmlinuz root=/dev/xvda1 ro
}
submenu s {
	menuentry b { linux /vmlinuz b; }
}
`;
    const run = await runText("cfg", script, { world });
    expect(await run.commands([0])).toEqual([
      "setparams 'it'\\''s a' 'x'",
      '\techo "$1 $2 $chosen"',
      "\tlinux /vmlinuz root=/dev/xvda1 ro",
    ]);
    expect(await run.commands([1, 0])).toEqual(["setparams 'b'", " linux /vmlinuz b; "]);
    expect(await run.commands([7])).toBeUndefined();
    expect(await run.commands([0, 0])).toBeUndefined();
    expect(await run.commands([])).toBeUndefined();
    const commands = (await run.commands([0]))!.map((line) => line.replace(/ ro$/, " single"));
    const edited = await run.bootEdited([0], commands);
    expect(edited.plan).toMatchObject({ path: [0], cmdline: "root=/dev/xvda1 single" });
    // The editor runs its text by itself: no entry was chosen.
    expect(edited.transcript.map(({ text }) => text)).toContain("it's a x \n");
    expect((await run.boot([0])).transcript.map(({ text }) => text)).toContain("it's a x it's a\n");
    expect((await run.bootEdited([1, 0], ["linux /vmlinuz c"])).plan).toMatchObject({ path: [1, 0], cmdline: "c" });
    expect((await run.boot([0])).plan.cmdline).toBe("root=/dev/xvda1 ro");
  });

  it("a script that boots by itself", async () => {
    const run = await runText("cfg", "multiboot /vmlinuz x\nmodule /initrd y z\nboot\necho never\n", { world });
    expect(run.reason).toBe("boot");
    expect(run.plan).toMatchObject({ command: "multiboot", cmdline: "x", modules: [{ path: "/initrd", args: "y z" }] });
    expect(run.transcript).toEqual([]);
  });

  it("a password is reported", async () => {
    const script =
      "timeout=0\nset superusers=root\npassword root x\nmenuentry a { linux /vmlinuz; }\nmenuentry b --unrestricted { linux /vmlinuz; }\n";
    const run = await runText("cfg", script, { world });
    expect(run.menu?.superusers).toEqual(["root"]);
    expect((await run.boot("a")).plan.locked).toBe(true);
    expect((await run.boot("b")).plan.locked).toBe(false);
  });

  it("save_env changes what the run reads, and nothing else", async () => {
    const block = `# GRUB Environment Block\na=1\n${"#".repeat(100)}`;
    const files = memoryWorld([["(hd0)/env", block]]);
    const run = await runText("cfg", "a=2\nsave_env -f /env a\na=\nload_env -f /env\necho $a\n", { world: files });
    expect(run.transcript.map(({ text }) => text)).toEqual(["2\n"]);
    expect(await files.read("hd0", "/env")).toEqual(bytes(block));
  });

  it("loopback: a file becomes a device when the world can open it, and a doubt when not", async () => {
    const inner = memoryWorld([["(hd0)/inner", "x"]]);
    const script = "loopback loop /vmlinuz\nif [ -f (loop)/inner ]; then echo yes; else echo no; fi\n";
    const plain = await runText("cfg", script, { world });
    expect(plain.doubts.some(({ what }) => what.includes("loop"))).toBe(true);
    const volume = {
      probe: async () => ({ fs: "iso9660" }),
      exists: (path: string) => inner.exists("hd0", path),
      read: (path: string) => inner.read("hd0", path),
      readDir: (path: string) => inner.readDir("hd0", path),
    };
    const run = await runText("cfg", script, { world: { ...world, openImage: async () => new Map([["", volume]]) } });
    expect(run.transcript.map(({ text }) => text)).toEqual(["yes\n"]);
    expect(run.doubts).toEqual([]);
  });

  it("onCommand sees every command and may answer for it", async () => {
    const seen: string[] = [];
    const run = await runText("cfg", 'linux /k a b\nnosuch x\nif mine; then echo "$v"; fi\n', {
      world: {
        ...world,
        async onCommand({ name, args }) {
          seen.push([name, ...args].join(" "));
          if (name === "mine") return { status: 0, output: "mine ran\n", set: { v: "set" } };
          return name === "linux" ? { status: 0 } : undefined;
        },
      },
    });
    expect(seen).toEqual(["linux /k a b", "nosuch x", "mine", "echo set"]);
    expect(run.transcript.filter(({ kind }) => kind === "output").map(({ text }) => text)).toEqual([
      "mine ran\n",
      "set\n",
    ]);
  });
});

describe("what the image cannot tell", () => {
  it.each([
    ["if keystatus --shift; then echo shift; else echo none; fi", "key"],
    ['smbios --type 1 --set v\nif [ "$v" = x ]; then echo x; fi', "SMBIOS"],
    ['read v\nw=$v\nif [ -n "$w" ]; then echo x; fi', "typed"],
    ['if [ "$HOUR" -gt 3 ]; then echo x; fi', "time"],
    ["regexp '(a)\\1' aa\nif [ $? = 0 ]; then echo x; fi", "back reference"],
  ])("%s", async (script, what) => {
    const run = await runText("cfg", `${script}\n`, { world });
    const doubts = run.doubts.filter(({ kind }) => kind === "unknown").map((doubt) => doubt.what);
    expect(doubts.join("; ")).toContain(what);
  });

  it("a branch that does not rest on it is not doubted", async () => {
    const run = await runText("cfg", "keystatus --shift\nif [ a = a ]; then echo x; fi\n", { world });
    expect(run.doubts).toEqual([]);
  });
});

it("dialects: Red Hat's GRUB looks for ids and titles before numbers", async () => {
  const script =
    "default='1 second'\ntimeout=0\nmenuentry 'first' { linux /vmlinuz; }\nmenuentry x { linux /vmlinuz; }\nmenuentry '1 second' { linux /vmlinuz; }\n";
  const path = async (dialect: "debian-2.06" | "redhat-2.12") =>
    (await runText("cfg", script, { world, dialect })).menu?.default.path;
  expect(await path("debian-2.06")).toEqual([1]);
  expect(await path("redhat-2.12")).toEqual([2]);
});

it("platforms: a GRUB for Xen has no chainloader", async () => {
  const script = "chainloader +1\nboot\n";
  expect((await runText("cfg", script, { world, platform: "pc" })).plan?.command).toBe("chainloader");
  expect((await runText("cfg", script, { world })).transcript[0]?.text).toBe("can't find command `chainloader'");
  await expect(runFile("/none", { world })).rejects.toMatchObject({ code: "not-found" });
});
