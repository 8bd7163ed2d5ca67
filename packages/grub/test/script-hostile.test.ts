import { memoryWorld, runFile, runText, type World } from "@guestprobe/grub/script";
import { describe, expect, it } from "vitest";
import { stopwatch } from "../../../test/lib/stopwatch.mjs";

const world = memoryWorld([["(hd0)/f", "x"]]);

const MAX_MS = 2000;
const MAX_BYTES = 256 * 1024 * 1024;
/** What else the machine does only ever adds to what is measured: a script that is too slow is so each time. */
const ATTEMPTS = 3;

/** Runs a script and holds it to the bounds that any input must keep. */
async function bounded(script: string, on: World = world) {
  for (let attempt = 1; ; attempt++) {
    const spent = stopwatch();
    const before = process.memoryUsage().heapUsed;
    const run = await runText("hostile.cfg", script, { world: on });
    const ms = spent();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(MAX_BYTES);
    if (ms >= MAX_MS && attempt < ATTEMPTS) continue;
    expect(ms).toBeLessThan(MAX_MS);
    return run;
  }
}

describe("a script that spent all it had still has its menu", () => {
  it.each(["menuentry x { true; }", "submenu x { menuentry y { true; }; }"])("%s", async (entry) => {
    const run = await bounded(`${entry}\nwhile true; do true; done`);
    expect(run.reason).toBe("limit");
    expect(run.menu?.entries.map(({ title }) => title)).toEqual(["x"]);
    for (const result of [await run.boot(), await run.bootEdited([0], ["true"])]) {
      expect(result).toMatchObject({ reason: "limit", error: { code: "limit" }, transcript: [] });
    }
    expect(await run.commands([0, 0])).toBeUndefined();
  });
});

describe("hostile scripts end in an answer", () => {
  it.each([
    ["while true; do true; done", "steps"],
    ["until false; do x=1; done", "steps"],
    ["while nosuch; do nosuch; done", "output"],
    ["function f { f; }; f", "depth"],
    ["function f { g; }; function g { f; f; }; f", "depth"],
    ["function f { eval f; }; f", "depth"],
    ["eval 'eval \"eval $1\"'; function f { eval 'f'; }; f", "depth"],
    ["x=ab; while true; do x=$x$x; done", "stringLength"],
    ['x="a b"; while true; do x="$x $x"; done', "stringLength"],
    [
      'x="a b c d"; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do x="$x $x"; done; while true; do echo $x > ',
      undefined,
    ],
    ['x=aaaaaaaaaaaaaaaa; while true; do echo "$x$x$x$x$x$x$x$x"; done', "output"],
    ["while true; do menuentry x { true; }; menuentry y { true; }; menuentry z { true; }; done", "entries"],
    ["while true; do export a$x; x=a$x; done", "expansion"],
    ["while true; do search -f /none; done", "steps"],
    ["while true; do [ -f /f ]; done", "files"],
    ["while true; do cat /f; done", "files"],
    ["while true; do regexp '(a*)*b' aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done", "matching"],
  ])("%s", async (script, limit) => {
    const run = await bounded(script);
    if (limit === undefined) expect(run.reason).not.toBe("boot");
    else {
      expect(run.reason).toBe("limit");
      expect(run.error?.code).toBe("limit");
      expect(run.error?.message).toContain(limit);
    }
  });

  it("a loop over a word of thousands of variables, all empty", async () => {
    const script = `while true; do x${"$a".repeat(16_000)}; done`;
    const run = await runText("hostile.cfg", script, { world, limits: { steps: 1000, expansion: 1 << 20 } });
    expect(run.error?.message).toContain("expansion");
  });

  it("a file that sources itself, and two that source each other", async () => {
    const loops = memoryWorld([
      ["(hd0)/self", "source /self\n"],
      ["(hd0)/a", "source /b\n"],
      ["(hd0)/b", "configfile /a\nmenuentry x { true; }\n"],
      ["(hd0)/c", "legacy_configfile /menu\n"],
      ["(hd0)/menu", "title x\nconfigfile /menu\n"],
    ]);
    expect((await bounded("source /self", loops)).reason).toBe("limit");
    expect((await bounded("source /a", loops)).reason).toBe("limit");
    expect((await bounded("configfile /a", loops)).reason).toBe("limit");
    const run = await bounded("timeout=0\nlegacy_source /menu", loops);
    expect((await run.boot()).reason).toBe("waits-for-key");
  });

  it("an entry that starts itself as a submenu", async () => {
    const run = await bounded("timeout=0\nfunction m { submenu s { m; }; }\nm\n");
    expect(run.menu?.entries[0]?.kind).toBe("submenu");
    const result = await run.boot();
    expect(result.reason).toBe("limit");
  });

  it.each([
    ["that leads to itself", "menuentry a { fallback='0 2'; linux /none; }\n"],
    ["that leads to another, and back", "menuentry a { fallback=1; }\nmenuentry b { fallback=0; false; }\n"],
    ["inside a submenu", "submenu s { menuentry a { fallback=0; timeout=0; false; }; }\n"],
  ])("an entry that sets a fallback %s", async (_, script) => {
    const run = await bounded(`timeout=0\nfallback=0\n${script}`);
    const result = await run.boot();
    expect(result.reason).toBe("limit");
    expect(result.error?.message).toContain("1000 on starts");
    // A list of fallbacks is no circle, and what one boot did takes nothing from the next.
    const list = await bounded(`timeout=0\nfallback='${"0 ".repeat(900)}'\nmenuentry a { false; }\n`);
    for (let n = 0; n < 3; n++) expect((await list.boot()).reason).toBe("waits-for-key");
  });

  it("100,000 entries", async () => {
    const script = Array.from({ length: 100_000 }, (_, n) => `menuentry 'entry ${n}' --id e${n} { linux /f }\n`).join(
      "",
    );
    const run = await bounded(`set default=e99999\nset timeout=0\n${script}`);
    expect(run.menu?.entries).toHaveLength(100_000);
    expect(run.menu?.default.path).toEqual([99_999]);
    expect((await bounded(`${script}menuentry more { true; }\n`)).reason).toBe("limit");
  });

  it("90,000 submenus are listed, and opened only up to a bound", async () => {
    const script = Array.from({ length: 90_000 }, (_, n) => `submenu 's${n}' { menuentry a { linux /f }; }\n`).join("");
    const run = await bounded(script);
    expect(run.menu?.entries).toHaveLength(90_000);
    expect(run.menu?.entries[0]?.entries).toHaveLength(1);
    expect(run.menu?.entries[89_999]?.entries).toBeUndefined();
  });

  it("patterns over 100,000 files", async () => {
    const files = Array.from({ length: 100_000 }, (_, n) => [`(hd0)/many/file${n}.cfg`, ""] as const);
    const many = memoryWorld(files);
    const run = await bounded("for f in /many/*.cfg; do n=x; done; echo $f", many);
    expect(run.transcript.at(-1)?.text).toBe("/many/file99999.cfg\n");
    expect((await bounded("while true; do x=/many/*0*0*0*0*0*z; done", many)).reason).toBe("limit");
    expect((await bounded("echo /*/*/*/*/*/* /**/**/**/**", many)).reason).toBe("end");
  });

  it("NUL and escape bytes in titles", async () => {
    const bytes = new TextEncoder().encode("menuentry 'a\x1b[2Jb' { true; }\nmenuentry 'c\0d' { true; }\necho after\n");
    const run = await runText("nul.cfg", bytes, { world });
    expect(run.menu?.entries.map(({ title }) => title)).toEqual(["a\x1b[2Jb"]);
    // The line ends at the NUL, inside a quote that nothing closes.
    expect(run.transcript[0]).toMatchObject({ kind: "error", text: "out of memory" });
  });

  it("bytes that are not UTF-8 come back as they were", async () => {
    const { encodeText } = await import("@guestprobe/grub/script");
    const title = Uint8Array.of(0x61, 0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0xc3, 0xa4);
    const bytes = Uint8Array.from([
      ...new TextEncoder().encode("menuentry '"),
      ...title,
      ...new TextEncoder().encode("' { true; }\n"),
    ]);
    const run = await runText("bytes.cfg", bytes, { world });
    expect(encodeText(run.menu!.entries[0]!.title)).toEqual(title);
  });

  it("deep nesting, endless arguments, and quotes that never close", async () => {
    expect((await bounded("if true; then\n".repeat(50_000))).reason).toBe("end");
    expect((await bounded(`echo ${"a ".repeat(200_000)}\n`)).transcript[0]).toMatchObject({ text: "memory exhausted" });
    expect((await bounded(`echo "${"x\n".repeat(200_000)}`)).transcript[0]).toMatchObject({ text: "out of memory" });
    expect((await bounded(`[ ${"( ".repeat(5000)}a ]`)).reason).toBe("limit");
    expect(
      (await bounded(`${"elif ".repeat(10)}if false; then a\n${"elif false; then a\n".repeat(50_000)}fi\n`)).reason,
    ).toBe("end");
    expect((await bounded(`regexp '${"(".repeat(50_000)}' a`)).reason).toBe("end");
    expect((await bounded(`regexp '${"(a{1,30}){1,30}".repeat(30)}' a`)).reason).toBe("end");
  });

  it("everything on one line", async () => {
    expect((await bounded(`${"echo ä a; ".repeat(40_000)}\n`)).reason).toBe("end");
    const run = await bounded(`${"menuentry ä { true; };".repeat(20_000)}\n`);
    expect(run.menu?.entries).toHaveLength(20_000);
    expect((await bounded(`eval '${"echo ö; ".repeat(20_000)}'\n`)).reason).toBe("end");
    expect((await bounded(`for i in ${"ö ".repeat(9_000)}; do eval "$i=1"; done\n`)).reason).toBe("end");
  });

  it("a file larger than the limit is not read", async () => {
    const big: World = { ...world, exists: async () => ({ size: 2 ** 40 }) };
    expect((await bounded("source /f", big)).reason).toBe("limit");
    await expect(runFile("(hd0)/none", { world })).rejects.toMatchObject({ code: "not-found" });
  });
});
