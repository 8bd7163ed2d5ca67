/**
 * Records what the real GRUB does with the cases in test/reference/grub-script/*.cases, into
 * test/fixtures/grub-script/*.json, for the tests that need no tools. Needs grub-emu, grub-fstest, mke2fs, script.
 *
 *     node test/make/grub-script.mjs [NAME...]
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseCases, recordCase } from "./grub-emu.mjs";

const cases = fileURLToPath(new URL("../reference/grub-script/", import.meta.url));
const fixtures = fileURLToPath(new URL("../fixtures/grub-script/", import.meta.url));
const wanted = process.argv.slice(2);
for (const file of readdirSync(cases).filter((name) => name.endsWith(".cases"))) {
  const name = file.slice(0, -".cases".length);
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const recorded = parseCases(readFileSync(`${cases}${file}`, "utf8")).map((one) => {
    try {
      return recordCase(one);
    } catch (error) {
      throw new Error(`${file}: ${one.name}`, { cause: error });
    }
  });
  writeFileSync(`${fixtures}${name}.json`, `${JSON.stringify(recorded, null, 1)}\n`);
  console.log(`${name}: ${recorded.length} cases`);
}
