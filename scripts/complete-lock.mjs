/**
 * Completes package-lock.json after `npm install` with a registry mirror that lacks the builds of a package for other
 * platforms: npm then leaves them out of the lock file, and `npm ci` refuses the file as out of sync. Each is an
 * optional dependency with an exact version, so its entry can be written without asking the registry.
 */
import { readFileSync, writeFileSync } from "node:fs";

const SYSTEMS = {
  android: "android",
  darwin: "darwin",
  freebsd: "freebsd",
  linux: "linux",
  openharmony: "openharmony",
  win32: "win32",
};
const PROCESSORS = {
  "arm-eabi": "arm",
  "arm-gnueabihf": "arm",
  "arm-musleabihf": "arm",
  arm64: "arm64",
  ia32: "ia32",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  x64: "x64",
};

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
let added = 0;
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${path}/node_modules/${name}`;
    const hoisted = `node_modules/${name}`;
    if (lock.packages[nested] !== undefined || lock.packages[hoisted] !== undefined) continue;
    if (!/^\d/.test(version)) throw new Error(`${name}: ${version} is no exact version`);
    const os = Object.keys(SYSTEMS).find((system) => name.includes(system));
    const cpu = Object.keys(PROCESSORS).find((processor) => name.includes(processor));
    lock.packages[hoisted] = {
      version,
      ...(cpu === undefined ? {} : { cpu: [PROCESSORS[cpu]] }),
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
      ...(os === undefined ? {} : { os: [SYSTEMS[os]] }),
    };
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} entries added`);
