/**
 * For esbuild: each name that a package imports comes from the smallest piece of a program that has it.
 *
 * - Past the index of a package: an index that is touched runs all that it lists, and half of a start-up would go to readers
 *   that nobody asked for. Every index here is a list of names, one `export { ... } from` after the other, which is what is read;
 *   a name that is not found stays as it is.
 * - Each structure is a module of its own, `layout.js?ext4_super_block` for one that layout.js exports. Who looks for a magic
 *   number reads one field of one of them, and making all the tables of all formats took a tenth of what a start takes
 *   beyond Node's own.
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = /[\\/]packages[\\/][^\\/]+[\\/](?:dist|build)[\\/].*\.js$/;

/** `export const NAME = struct(...);`, as tsc writes it. */
const STRUCTURE = /^export const (\w+) = struct\([\s\S]*?\);$/gm;

/** @returns {import("esbuild").Plugin} */
export function singleNames() {
  const indexes = memo(readIndex);
  const files = memo(readStructures);
  const inModule = (name, file) => (files(file).structures.has(name) ? `${file}?${name}` : file);
  /** Where a name that `importer` takes from `specifier` is to come from. */
  const placeOf = (name, specifier, importer) => {
    const isOwn = specifier.startsWith("@guestprobe/");
    const found = isOwn ? indexes(specifier).get(name) : undefined;
    if (found !== undefined) return { name: found.name, specifier: inModule(found.name, found.specifier) };
    if (!isOwn && !specifier.startsWith(".")) return { name, specifier };
    const file = isOwn ? fileOf(specifier) : resolve(dirname(importer), specifier);
    return { name, specifier: inModule(name, file) };
  };
  const withSingleNames = (text, importer) =>
    text.replace(/^(import|export) \{([^}]*)\} from "([.@][^"]+)";$/gm, (_, kind, names, specifier) =>
      listed(names)
        .map(([name, local]) => {
          const from = placeOf(name, specifier, importer);
          return `${kind} { ${from.name} as ${local} } from ${JSON.stringify(from.specifier)};`;
        })
        .join(" "),
    );
  return {
    name: "single-names",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\.js\?\w+$/ }, ({ path }) => {
        const [file, name] = path.split("?");
        return { path: file, suffix: `?${name}` };
      });
      onLoad({ filter: PACKAGES }, ({ path, suffix }) => {
        const { rest, moduleOf } = files(path);
        return { contents: withSingleNames(suffix === "" ? rest : moduleOf(suffix.slice(1)), path) };
      });
    },
  };
}

/** The structures of a module, the text that is left without them, and the text of a module for one of them. */
function readStructures(file) {
  const text = readFileSync(file, "utf8");
  const structures = new Map(
    [...text.matchAll(STRUCTURE)].map(([statement, name]) => [name, withoutComments(statement)]),
  );
  const left = text.replace(STRUCTURE, "");
  const imports = text.match(/^import [^;]*;$/gm)?.join("\n") ?? "";
  const declared = [...left.matchAll(/^(export )?(?:const|let|function|class) (\w+)/gm)];
  const importOf = (name, place) => `import { ${name} } from ${JSON.stringify(place)};\n`;
  const structuresIn = (part, self) =>
    [...structures.keys()]
      .filter((name) => name !== self && has(part, name))
      .map((name) => importOf(name, `${file}?${name}`));
  const used = structuresIn(withoutComments(left));
  return {
    structures,
    rest: `${used.join("")}${left}`,
    moduleOf(name) {
      const statement = structures.get(name);
      const constants = declared.filter(([, , each]) => has(statement, each));
      const hidden = constants.find(([, isExported]) => isExported === undefined);
      if (hidden !== undefined) throw new Error(`${file}: ${name} needs "${hidden[2]}", which is not exported`);
      // They would need each other.
      if (constants.length > 0 && used.length > 0) throw new Error(`${file}: uses what it declares, as ${name} does`);
      const needed = [...constants.map(([, , each]) => importOf(each, file)), ...structuresIn(statement, name)];
      return `${imports}\n${needed.join("")}${statement}`;
    },
  };
}

const withoutComments = (text) => text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
const has = (text, name) => new RegExp(`\\b${name}\\b`).test(text);

/** Where each name of a package's index comes from. */
function readIndex(specifier) {
  const index = fileOf(specifier);
  const names = readFileSync(index, "utf8").matchAll(/^export \{([^}]*)\} from "(\.[^"]+)";$/gm);
  return new Map(
    [...names].flatMap(([, list, file]) =>
      listed(list).map(([name, exported]) => [exported, { name, specifier: join(dirname(index), file) }]),
    ),
  );
}

const fileOf = (specifier) => fileURLToPath(import.meta.resolve(specifier));

/** The names of an import or export clause, each with what it is called there. */
const listed = (clause) =>
  clause
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const [name, local = name] = part.split(" as ");
      return [name, local];
    });

function memo(make) {
  const made = new Map();
  return (key) => {
    if (!made.has(key)) made.set(key, make(key));
    return made.get(key);
  };
}
