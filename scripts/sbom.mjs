/**
 * A CycloneDX bill of materials of what the command is made of: npm's own, without what was only used to make it. npm counts
 * the libraries that are bundled into the command as development dependencies; which they are, the bundle says
 * (`LICENSES.txt`, by bundle.mjs, so `npm run build` comes first). Written to the standard output.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const bundled = readFileSync(new URL("../packages/cli/dist/LICENSES.txt", import.meta.url), "utf8");
/** Each library's licence stands below a line with its name, version and kind of licence. */
const libraries = new Set(
  [...bundled.matchAll(/^((?:@[\w.-]+\/)?[\w.-]+) (\d[\w.+-]*) \(.+\)$/gm)].map(
    ([, name, version]) => `${name}@${version}`,
  ),
);
if (libraries.size === 0) throw new Error("LICENSES.txt names no library");

const bom = JSON.parse(
  execFileSync("npm", ["sbom", "--sbom-format", "cyclonedx"], { encoding: "utf8", maxBuffer: 1 << 28 }),
);
const isPart = (ref) => libraries.has(ref) || /^(@guestprobe\/[\w-]+|guestprobe)@/.test(ref);
const isKept = ({ name }) => name !== "cdx:npm:package:development";
const components = bom.components
  .filter((component) => isPart(component["bom-ref"]))
  .map((component) => named({ ...component, properties: component.properties.filter(isKept) }));
for (const library of libraries) {
  if (!components.some((component) => component["bom-ref"] === library))
    throw new Error(`npm does not know ${library}`);
}
const root = bom.metadata.component["bom-ref"];
named(bom.metadata.component);
const dependencies = bom.dependencies
  .filter(({ ref }) => ref === root || isPart(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter(isPart) }));
process.stdout.write(`${JSON.stringify({ ...bom, components, dependencies }, undefined, 2)}\n`);

/** npm takes the names of workspaces from the folders that they lie in. */
function named(component) {
  const ref = component["bom-ref"];
  component.name = ref.slice(0, ref.lastIndexOf("@"));
  return component;
}
