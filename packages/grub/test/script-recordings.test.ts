import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { actual, expected, type Recording } from "./recordings.js";

const fixtures = fileURLToPath(new URL("../../../test/fixtures/grub-script/", import.meta.url));

/** Transcripts, variables, menus and defaults as grub-emu 2.06 gave them (test/make/grub-script.mjs). */
for (const file of readdirSync(fixtures).filter((name) => name.endsWith(".json"))) {
  const recordings = JSON.parse(readFileSync(`${fixtures}${file}`, "utf8")) as Recording[];
  describe(`as grub-emu: ${file.replace(".json", "")}`, () => {
    it.each(recordings.map((recording) => [recording.name, recording] as const))("%s", async (_, recording) => {
      expect(await actual(recording)).toEqual(expected(recording));
    });
  });
}
