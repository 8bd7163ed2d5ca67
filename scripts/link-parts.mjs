/**
 * Makes one CommonJS file of the parts that esbuild split a program into: each becomes a function that runs when it is
 * asked for.
 *
 * esbuild's own CommonJS gives every export a getter, and every use of an import goes through it: two thousand getters
 * took more of a start, and more of V8's code cache, than what they led to. Here a part answers its exports as a plain
 * object, and who imports them takes them into constants. For that no part may change what it has exported, and no two
 * may wait for each other: both are checked, and end the build.
 */
import ts from "typescript";

/**
 * @param parts Name ("./chunk-ABC.js") to text: ES modules as esbuild writes them.
 * @param entry Name of the part that runs first.
 * @returns A CommonJS module with the exports of the entry.
 */
export function linkParts(parts, entry) {
  const checker = checkerOf(parts);
  const linked = new Map([...parts.keys()].map((name) => [name, linkPart(name, parts, checker)]));
  for (const name of linked.keys()) refuseCycle(name, linked, []);
  const functions = [...linked].map(([name, { body }]) => `${JSON.stringify(name)}() {\n${body}\n}`);
  return `"use strict";
const programUrl = require("node:url").pathToFileURL(__filename).href;
const $parts = {\n${functions.join(",\n")}\n};
const $loaded = {};
function $load(name) {
  return ($loaded[name] ??= $parts[name]());
}
module.exports = $load(${JSON.stringify(entry)});
// What an ES module may import of this file by name.
0 && (module.exports = { ${linked.get(entry).exported.join(", ")} });
`;
}

/** TypeScript's, which knows what each name in the parts means. */
function checkerOf(parts) {
  const files = new Map([...parts].map(([name, text]) => [name.replace("./", "/"), text]));
  const options = { allowJs: true, noResolve: true, noLib: true, types: [], target: ts.ScriptTarget.ES2022 };
  const program = ts.createProgram([...files.keys()], options, {
    ...ts.createCompilerHost(options),
    fileExists: (path) => files.has(path),
    readFile: (path) => files.get(path),
    getSourceFile: (path) => ts.createSourceFile(path, files.get(path) ?? "", ts.ScriptTarget.ES2022, true),
  });
  const checker = program.getTypeChecker();
  return {
    treeOf: (name) => program.getSourceFile(name.replace("./", "/")),
    meaning: (identifier) => checker.getSymbolAtLocation(identifier),
  };
}

/** The body of a part's function, the parts that it needs to start, and what it exports. */
function linkPart(name, parts, { treeOf, meaning }) {
  const tree = treeOf(name);
  const edits = [];
  const replace = (node, text) => edits.push({ start: node.getStart(), end: node.getEnd(), text });
  const call = (from) => `${parts.has(from) ? "$load" : "require"}(${JSON.stringify(from)})`;
  const needs = [];
  /** Exported name to local one. */
  const exports = new Map();
  for (const statement of tree.statements) {
    if (ts.isImportDeclaration(statement)) {
      const from = statement.moduleSpecifier.text;
      // What is imported for the order alone is left out: no module here does anything but define.
      const names = statement.importClause && bindings(statement.importClause, parts.has(from));
      if (names !== undefined && parts.has(from)) needs.push(from);
      replace(statement, names === undefined ? "" : `const ${names} = ${call(from)};`);
    } else if (ts.isExportDeclaration(statement)) {
      for (const each of statement.exportClause.elements) exports.set(each.name.text, each.propertyName ?? each.name);
      replace(statement, "");
    } else if (ts.isExportAssignment(statement)) {
      exports.set("default", undefined);
      replace(statement, `const $default = ${statement.expression.getText()};`);
    } else if (statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) {
      throw new Error(`${name}: an export of a form that is not foreseen: ${statement.getText().slice(0, 80)}`);
    }
  }
  const locals = new Set([...exports.values()].map((local) => local && local.text));
  const visit = (node) => {
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [from] = node.arguments;
      if (!ts.isStringLiteral(from)) throw new Error(`${name}: the name of an imported module is computed`);
      replace(node, `Promise.resolve().then(()=>${call(from.text)})`);
      return;
    }
    const target = changed(node);
    if (target !== undefined && locals.has(target.text) && isTopLevel(meaning(target), tree))
      throw new Error(`${name}: "${target.text}" is exported, and changed later`);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  let body = tree.text;
  for (const { start, end, text } of edits.sort((a, b) => b.start - a.start))
    body = body.slice(0, start) + text + body.slice(end);
  const fields = [...exports].map(([exported, local]) => `${exported}:${local === undefined ? "$default" : local.text}`);
  return { body: `${body.trim()}\nreturn{${fields.join(",")}};`, needs, exported: [...exports.keys()] };
}

/** The left side of the declaration that stands for an import. */
function bindings({ name, namedBindings }, isPart) {
  if (namedBindings === undefined) return isPart ? `{default:${name.text}}` : name.text;
  if (name !== undefined) throw new Error(`"${name.text}": a default import and others in one clause`);
  if (ts.isNamespaceImport(namedBindings)) return namedBindings.name.text;
  return `{${namedBindings.elements.map((each) => `${(each.propertyName ?? each.name).text}:${each.name.text}`).join(",")}}`;
}

/** The name that this node gives a new value, when it does: `a = 1`, `a += 1`, `a++`. */
function changed(node) {
  const isAssignment =
    ts.isBinaryExpression(node) &&
    node.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
    node.operatorToken.kind <= ts.SyntaxKind.LastAssignment;
  const isStep =
    (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) &&
    (node.operator === ts.SyntaxKind.PlusPlusToken || node.operator === ts.SyntaxKind.MinusMinusToken);
  const target = isAssignment ? node.left : isStep ? node.operand : undefined;
  return target !== undefined && ts.isIdentifier(target) ? target : undefined;
}

/** Whether a name is declared outside all functions of this module. */
function isTopLevel(symbol, tree) {
  const scope = (node) => (ts.isSourceFile(node) || ts.isFunctionLike(node) || ts.isBlock(node) ? node : scope(node.parent));
  return symbol?.declarations?.some((declaration) => scope(declaration.parent) === tree) ?? true;
}

function refuseCycle(name, linked, above) {
  const { needs, checked } = linked.get(name);
  if (above.includes(name)) throw new Error(`parts that wait for each other: ${[...above, name].join(" ")}`);
  if (checked) return;
  for (const next of needs) refuseCycle(next, linked, [...above, name]);
  linked.get(name).checked = true;
}
