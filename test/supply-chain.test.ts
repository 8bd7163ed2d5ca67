/** What is installed at run time: exact versions, known licences, no scripts. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));
const read = (path: string): unknown => JSON.parse(readFileSync(root + path, "utf8"));

interface Manifest {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly link?: boolean;
  /** Comes inside the package around it, whose hash covers it. */
  readonly inBundle?: boolean;
}

const manifests = ["package.json", ...readdirSync(`${root}packages`).map((name) => `packages/${name}/package.json`)];
const lock = (read("package-lock.json") as { packages: Readonly<Record<string, Locked>> }).packages;
const installed = Object.entries(lock).filter(
  ([path, { link, inBundle }]) => path.includes("node_modules/") && link !== true && inBundle !== true,
);
const atRunTime = installed.filter(([, { dev }]) => dev !== true);

const LICENCES: readonly string[] = ["Apache-2.0", "MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Zlib", "0BSD"];

test.each(manifests)("%s: exact versions, and nothing that runs on install", (path) => {
  const { scripts = {}, dependencies = {}, devDependencies = {} } = read(path) as Manifest;
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
  }
  for (const hook of ["preinstall", "install", "postinstall", "prepare"])
    expect(scripts, hook).not.toHaveProperty(hook);
});

test("what runs for a user has no install script, a licence that is known, and a hash", () => {
  expect(atRunTime.length).toBeGreaterThan(0);
  for (const [path, { license = "", integrity, hasInstallScript }] of atRunTime) {
    expect(hasInstallScript, path).not.toBe(true);
    expect(integrity, path).toMatch(/^sha512-/);
    const parts = license.replace(/[()]/g, "").split(/ (?:AND|OR) /);
    expect(
      parts.filter((part) => !LICENCES.includes(part)),
      path,
    ).toEqual([]);
  }
});

test("the lock file holds a hash of everything else too, and names no registry", () => {
  // Of binaries for other systems npm records no more than that they exist.
  const ours = installed.filter(([, { optional, dev }]) => !(optional === true && dev === true));
  for (const [path, { integrity }] of ours) expect(integrity, path).toMatch(/^sha512-/);
  expect(readFileSync(`${root}package-lock.json`, "utf8")).not.toMatch(/"resolved": "https?:/);
});

test("the bill of materials has what is bundled into the command, and no tool that only made it", () => {
  const text = execFileSync(process.execPath, ["scripts/sbom.mjs"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 24,
  });
  const bom = JSON.parse(text) as {
    readonly components: readonly { readonly name: string; readonly licenses: readonly unknown[] }[];
    readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
  };
  const names = bom.components.map(({ name }) => name);
  const ours = readdirSync(`${root}packages`).map((name) => (name === "cli" ? "guestprobe" : `@guestprobe/${name}`));
  for (const name of [...ours, "commander", "picocolors", "@clack/prompts", "hash-wasm"]) {
    expect(names).toContain(name);
  }
  for (const tool of ["typescript", "vitest", "esbuild", "ajv", "assemblyscript"]) expect(names).not.toContain(tool);
  const refs = new Set(bom.dependencies.map(({ ref }) => ref));
  for (const { dependsOn } of bom.dependencies) for (const ref of dependsOn) expect(refs).toContain(ref);
  expect(bom.components.filter(({ licenses }) => licenses.length === 0)).toEqual([]);
});
