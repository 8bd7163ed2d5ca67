/**
 * Records what the real GRUB does with the cases in test/reference/grub-script/*.cases, into
 * test/fixtures/grub-script/*.json, for the tests that need no tools. Needs grub-emu, grub-fstest, mke2fs, script.
 *
 *     node test/make/grub-script.mjs [NAME [PART OF A CASE'S NAME]]
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseCases, recordCase } from "./grub-emu.mjs";

const cases = fileURLToPath(new URL("../reference/grub-script/", import.meta.url));
const fixtures = fileURLToPath(new URL("../fixtures/grub-script/", import.meta.url));
const [wanted, only] = process.argv.slice(2);
for (const file of readdirSync(cases).filter((name) => name.endsWith(".cases"))) {
  const name = file.slice(0, -".cases".length);
  if (wanted !== undefined && wanted !== name) continue;
  const fixture = `${fixtures}${name}.json`;
  const known = only === undefined ? [] : JSON.parse(readFileSync(fixture, "utf8"));
  const recorded = parseCases(readFileSync(`${cases}${file}`, "utf8")).map((one) => {
    if (only !== undefined && !one.name.includes(only)) return known.find((before) => before.name === one.name);
    try {
      return recordCase(one);
    } catch (error) {
      throw new Error(`${file}: ${one.name}`, { cause: error });
    }
  });
  writeFileSync(fixture, `${JSON.stringify(recorded, null, 1)}\n`);
  console.log(`${name}: ${recorded.length} cases`);
}
