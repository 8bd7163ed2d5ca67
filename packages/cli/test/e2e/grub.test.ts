import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { guestprobe } from "../../../../test/lib/cli.js";
import { checkDocument } from "./schema.js";

const sample = fileURLToPath(new URL("../../../../sample/guest.img", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-grub-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const script = (name: string, text: string): string => {
  writeFileSync(join(scratch, name), text);
  return join(scratch, name);
};

/** The sample's grub.cfg has one entry; see test/make/sample.mjs. */
const PLAN = {
  title: "Sample Linux",
  command: "linux",
  kernel: { device: "xen/xvda,msdos2", path: "/boot/vmlinuz-sample", at: { line: 3 } },
  cmdline: "root=/dev/xvda2 ro console=hvc0",
  initrds: [{ path: "/boot/initrd-sample.img", at: { line: 4 } }],
};

describe("menu", () => {
  test("the menu of the sample, its default, and what it loads", async () => {
    const { out, code, err } = await guestprobe(["menu", sample]);
    expect(code).toBe(0);
    expect(err).toBe("");
    expect(out).toContain("* 0  Sample Linux");
    expect(out).toContain("started: after 5 s");
    expect(out).toContain("(xen/xvda,msdos2)/boot/vmlinuz-sample");
  });

  test("as a document", async () => {
    const { out, code } = await guestprobe(["menu", "--json", sample]);
    expect(code).toBe(0);
    expect(checkDocument(out)).toMatchObject({
      file: "(xen/xvda,msdos2)/boot/grub/grub.cfg",
      menu: {
        language: "grub",
        timeout: 5,
        default: { path: [0] },
        entries: [{ title: "Sample Linux", entries: null }],
      },
      plan: PLAN,
    });
  });

  test("a file that is not there is an answer: no", async () => {
    const { out, code } = await guestprobe(["menu", "--json", "--file", "/none.cfg", sample]);
    expect(code).toBe(1);
    expect(checkDocument(out)).toMatchObject({ file: null, menu: null, plan: null });
    expect((await guestprobe(["menu", "--file", "none.cfg", sample])).code).toBe(2);
  });
});

describe("grub run", () => {
  const host = "if search -s -f /boot/grub/grub.cfg; then\n  echo found $root\n  configfile /boot/grub/grub.cfg\nfi\n";

  test("a host's script finds the guest's menu", async () => {
    const path = script("host.cfg", host);
    const { out, code } = await guestprobe(["grub", "run", path, "--image", sample]);
    expect(code).toBe(0);
    expect(out).toContain("found xen/xvda,msdos2\n");
    expect(out).toContain("* 0  Sample Linux");
    const document = checkDocument((await guestprobe(["grub", "run", path, "--image", sample, "--json"])).out);
    expect(document).toMatchObject({ reason: "menu", plan: PLAN, variables: { root: "xen/xvda,msdos2" } });
    expect(document.transcript).toMatchObject([{ kind: "output", text: "found xen/xvda,msdos2\n", line: 2 }]);
  });

  test("an endless script ends with its limit", async () => {
    const { code, err, out } = await guestprobe([
      "grub",
      "run",
      script("loop.cfg", "while true; do x=1; done\n"),
      "--image",
      sample,
      "--json",
    ]);
    expect(code).toBe(4);
    expect(err).toContain("limit");
    expect(checkDocument(out)).toMatchObject({ reason: "limit" });
  });

  test("control bytes of a script's output are escaped", async () => {
    const { out } = await guestprobe(["grub", "run", script("esc.cfg", "echo '\x1b[2J'\n"), "--image", sample]);
    expect(out).toContain("\\x1b[2J");
    expect(out).not.toContain("\x1b");
  });
});

describe("grub check", () => {
  test("sound, refused, and missing", async () => {
    const good = script("good.cfg", "menuentry a { true; }\n");
    const bad = script("bad.cfg", "echo a\n  echo b && c\n");
    expect(await guestprobe(["grub", "check", good])).toMatchObject({ code: 0, out: `${good}: no syntax errors\n` });
    expect(await guestprobe(["grub", "check", bad])).toMatchObject({ code: 1, out: `${bad}:2:10: unexpected \`&&'\n` });
    const { out } = await guestprobe(["grub", "check", "--json", bad]);
    expect(checkDocument(out)).toMatchObject({ problems: [{ line: 2, column: 10, byte: 16 }] });
    expect((await guestprobe(["grub", "check", join(scratch, "none")])).code).toBe(5);
    expect((await guestprobe(["grub", "frob"])).code).toBe(2);
    expect((await guestprobe(["grub", "run", good])).code).toBe(2);
  });
});
