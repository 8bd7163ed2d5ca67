/**
 * Makes two CommonJS files of a program's modules, of which nothing runs before it is asked for: each module is a function,
 * and what it imports is taken from another when it is first used. A name that is used while a module is being defined
 * (a base class, a table made of another) is taken at once. The second file is read when one of its modules is asked for.
 *
 * esbuild's own CommonJS runs all that is imported, gives every export a getter, and goes through it at every use: that
 * took more of a start, and more of V8's code cache, than what was called in the end. Here exports are a plain object,
 * and imports variables. For that no module may change what it has exported, and none may need another to be defined
 * that needs it: both are checked, and end the build, as a name does that its module does not export. Nor may a module do
 * more than define, as all packages here say of themselves ("sideEffects": false).
 */
import { posix } from "node:path";
import ts from "typescript";

/**
 * @param modules Path below the program's folder to text: ES modules as esbuild writes them, bundled and split.
 * @param entry Path of the module that runs first.
 */
export function linkParts(modules, entry) {
  const checker = checkerOf(modules);
  const parts = new Map();
  const add = (path) => {
    if (parts.has(path)) return parts.get(path).number;
    const part = { number: parts.size };
    parts.set(path, part);
    Object.assign(
      part,
      linkPart(path, checker, (from) => (modules.has(from) ? add(from) : undefined)),
    );
    return part.number;
  };
  add(entry);
  for (const path of parts.keys()) refuseCycle(path, parts, []);
  for (const [path, { takes }] of parts)
    for (const { from, name } of takes)
      if (!parts.get(from).exported.includes(name)) throw new Error(`${path}: ${from} has no "${name}"`);
  return {
    /** Path of each module, by its number. */
    paths: [...parts.keys()],

    /**
     * The texts of both files. The first is a CommonJS module with the exports of the entry, and has the second by
     * `module.loadBeside`, where that is there, or `require`. In both `module.defined` answers the numbers of the modules that were
     * defined so far. Run as a script each is the function that CommonJS's loader makes of a module, so that who loads it needs no
     * second copy of the text with that function around it.
     *
     * @param later What the second file is called.
     * @param isLater Which modules are in it.
     * @param isAtOnce Whether one module is to take the names of another when it is defined, and not look at each use of them whether
     *   they were taken. It does where the other does not need it in turn.
     */
    texts(later, isLater, isAtOnce) {
      const needs = new Map([...parts].map(([path, part]) => [path, new Set(part.needs)]));
      for (const [path, { wants }] of parts)
        for (const other of wants)
          if (isAtOnce(path, other) && !isNeededBy(needs, other, path)) needs.get(path).add(other);
      const bodies = (which) =>
        [...parts]
          .filter(([path]) => isLater(path) === which)
          .map(([path, { number, bodyWith }]) => `${number}:()=>{${bodyWith(needs.get(path))}}`)
          .join(",\n");
      const defined = "module.defined=()=>Object.keys($parts).filter((number)=>number in $loaded).map(Number);";
      const first = `const $program={get url(){return require("node:url").pathToFileURL(__filename).href}};
const $loaded=[];
let $more;
const $later=(number)=>($more??=(module.loadBeside??require)(${JSON.stringify(`./${later}`)})($program,$loaded,$load))[number];
const $load=(number)=>$loaded[number]??=($parts[number]??$later(number))();
const $parts={\n${bodies(false)}\n};
${defined}
module.exports=$load(0);`;
      const second = `module.exports=($program,$loaded,$load)=>{
const $parts={\n${bodies(true)}\n};
${defined}
return $parts;
}`;
      return [
        commonJs(
          first,
          `// What an ES module may import of this file by name.
0&&(module.exports={${parts.get(entry).exported.join(",")}});`,
        ),
        commonJs(second),
      ];
    },
  };
}

/** Whether a module, or one that it needs, needs another to be defined. */
function isNeededBy(needs, path, other, seen = new Set()) {
  if (path === other) return true;
  if (seen.has(path)) return false;
  seen.add(path);
  return [...needs.get(path)].some((next) => isNeededBy(needs, next, other, seen));
}

/** A file that runs as a module, and as a script answers the function that CommonJS's loader would make of it. */
function commonJs(body, head = "") {
  const names = "exports,require,module,__filename,__dirname";
  return `"use strict";
${head}
(program=>typeof module==="object"?program(${names}):program)(function(${names}){
${body}
})`;
}

/** TypeScript's, which knows what each name in the modules means. */
function checkerOf(modules) {
  const options = { allowJs: true, noResolve: true, noLib: true, types: [], target: ts.ScriptTarget.ES2022 };
  const rooted = (path) => `/${path}`;
  const files = new Map([...modules].map(([path, text]) => [rooted(path), text]));
  const program = ts.createProgram([...files.keys()], options, {
    ...ts.createCompilerHost(options),
    fileExists: (path) => files.has(path),
    readFile: (path) => files.get(path),
    getSourceFile: (path) => ts.createSourceFile(path, files.get(path) ?? "", ts.ScriptTarget.ES2022, true),
  });
  const checker = program.getTypeChecker();
  return {
    treeOf: (path) => program.getSourceFile(rooted(path)),
    /** Where a name that is used was declared. */
    declarationOf: (identifier) =>
      (ts.isShorthandPropertyAssignment(identifier.parent)
        ? checker.getShorthandAssignmentValueSymbol(identifier.parent)
        : checker.getSymbolAtLocation(identifier)
      )?.declarations?.[0],
  };
}

/**
 * Of a module: what makes the body of its function, the modules that it needs to be defined, the others that it wants later, and the names
 * that it takes of both.
 *
 * @param add Numbers a module; undefined for what is not of the program.
 */
function linkPart(path, { treeOf, declarationOf }, add) {
  const tree = treeOf(path);
  const edits = [];
  const replace = (node, text) => edits.push({ start: node.getStart(), end: node.getEnd(), text });
  const place = (specifier) => posix.normalize(posix.join(posix.dirname(path), specifier));
  const call = (specifier) => {
    const number = specifier.startsWith(".") ? add(place(specifier)) : undefined;
    if (number === undefined && specifier.startsWith(".")) throw new Error(`${path}: there is no module ${specifier}`);
    return number === undefined ? `require(${JSON.stringify(specifier)})` : `$load(${number})`;
  };
  const { imports, byLocal, exports } = readClauses(path, tree);
  for (const { statement } of exports) replace(statement, exportText(statement));
  const exported = new Map(exports.flatMap(({ names }) => names));
  const changeable = new Set(exported.values());

  const takes = [];
  const take = (specifier, name) => {
    if (specifier.startsWith(".") && name !== "*") takes.push({ from: place(specifier), name });
  };

  const isImport = (identifier) => {
    for (let at = declarationOf(identifier); at !== undefined; at = at.parent)
      if (ts.isImportDeclaration(at)) return true;
    return false;
  };
  const visit = (node, isLater) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments;
      if (!ts.isStringLiteral(specifier)) throw new Error(`${path}: the name of an imported module is computed`);
      for (const name of takenOf(node, path)) take(specifier.text, name);
      replace(node, `Promise.resolve().then(()=>${call(specifier.text)})`);
      return;
    }
    const target = changedBy(node);
    if (target !== undefined && changeable.has(target.text) && isOutermost(declarationOf(target), tree))
      throw new Error(`${path}: "${target.text}" is exported, and changed later`);
    const found = ts.isIdentifier(node) && !isKey(node) ? byLocal.get(node.text) : undefined;
    if (found !== undefined && isImport(node)) {
      found.uses.push(node);
      found.isNeeded ||= !isLater;
    }
    ts.forEachChild(node, (child) => visit(child, isLater || runsLater(node)));
  };
  visit(tree, false);
  // What is exported again must be there at the end of the definition.
  for (const local of exported.values()) if (byLocal.has(local)) byLocal.get(local).isNeeded = true;

  const needs = [];
  const wants = [];
  for (const { specifier, names } of imports) {
    call(specifier);
    for (const { imported } of names) take(specifier, imported);
    if (!specifier.startsWith(".")) continue;
    if (names.some(({ imported, isNeeded }) => imported === "*" || isNeeded)) needs.push(place(specifier));
    else if (names.length > 0) wants.push(place(specifier));
  }

  const importEdits = ({ statement, specifier, names }, atOnce) => {
    const start = statement.getStart();
    const end = statement.getEnd();
    const all = names.map(({ imported, local }) => `${imported}:${local}`).join(",");
    const whole = names.find(({ imported }) => imported === "*");
    if (names.length === 0) return [{ start, end, text: "" }];
    if (whole !== undefined) return [{ start, end, text: `var ${whole.local}=${call(specifier)};` }];
    if (names.some(({ isNeeded }) => isNeeded) || (specifier.startsWith(".") && atOnce.has(place(specifier))))
      return [{ start, end, text: `var{${all}}=${call(specifier)};` }];
    const uses = names.flatMap(({ local, imported, uses }) =>
      uses.map((use) => {
        const text = `(${local}??=${call(specifier)}.${imported})`;
        const isShort = ts.isShorthandPropertyAssignment(use.parent);
        return { start: use.getStart(), end: use.getEnd(), text: isShort ? `${local}:${text}` : text };
      }),
    );
    return [{ start, end, text: `var ${names.map(({ local }) => local).join(",")};` }, ...uses];
  };
  /** @param atOnce Paths of the modules whose names are taken when this one is defined. */
  const bodyWith = (atOnce) => {
    let body = tree.text;
    const all = [...edits, ...imports.flatMap((each) => importEdits(each, atOnce))];
    for (const { start, end, text } of all.sort((a, b) => b.start - a.start))
      body = body.slice(0, start) + text + body.slice(end);
    return `${body.trim()}return{${[...exported].map((pair) => pair.join(":")).join(",")}}`;
  };
  return { bodyWith, needs, wants, takes, exported: [...exported.keys()] };
}

/** The names that are taken of a module which is imported while the program runs. */
function takenOf(call, path) {
  let user = call.parent;
  if (ts.isAwaitExpression(user)) user = user.parent;
  while (ts.isParenthesizedExpression(user)) user = user.parent;
  if (ts.isPropertyAccessExpression(user)) return [user.name.text];
  if (ts.isVariableDeclaration(user) && ts.isObjectBindingPattern(user.name))
    return user.name.elements.map(({ propertyName, name }) => (propertyName ?? name).text);
  throw new Error(`${path}: the names of an imported module are taken in a form that is not foreseen`);
}

/** What a module imports and exports. Of a module that is not of the program "*" is all of it, as `require` answers. */
function readClauses(path, tree) {
  const imports = [];
  const exports = [];
  for (const statement of tree.statements) {
    if (ts.isImportDeclaration(statement)) {
      const specifier = statement.moduleSpecifier.text;
      const { name, namedBindings } = statement.importClause ?? {};
      const names = [];
      const take = (imported, local) => names.push({ imported, local: local.text, uses: [], isNeeded: false });
      if (name !== undefined) take(specifier.startsWith(".") ? "default" : "*", name);
      if (namedBindings !== undefined && ts.isNamespaceImport(namedBindings)) take("*", namedBindings.name);
      for (const each of namedBindings?.elements ?? []) take((each.propertyName ?? each.name).text, each.name);
      if (names.length > 1 && names.some(({ imported }) => imported === "*"))
        throw new Error(`${path}: a whole module and names of it in one import`);
      imports.push({ statement, specifier, names });
    } else if (ts.isExportDeclaration(statement)) {
      const { elements } = statement.exportClause;
      exports.push({
        statement,
        names: elements.map((each) => [each.name.text, (each.propertyName ?? each.name).text]),
      });
    } else if (ts.isExportAssignment(statement)) {
      exports.push({ statement, names: [["default", "$default"]] });
    } else if (statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) {
      throw new Error(`${path}: an export of a form that is not foreseen: ${statement.getText().slice(0, 80)}`);
    }
  }
  const byLocal = new Map(imports.flatMap(({ names }) => names.map((name) => [name.local, name])));
  return { imports, byLocal, exports };
}

const exportText = (statement) =>
  ts.isExportAssignment(statement) ? `var $default=${statement.expression.getText()};` : "";

/** Whether a name stands for itself here, as in `a.name` and `{ name: a }`. */
function isKey(identifier) {
  const { parent } = identifier;
  return parent.name === identifier && !ts.isShorthandPropertyAssignment(parent);
}

/** Whether what is inside this node runs after the module was defined, if at all. */
function runsLater(node) {
  if (ts.isPropertyDeclaration(node)) return !node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.StaticKeyword);
  if (!ts.isFunctionLike(node)) return false;
  let user = node.parent;
  while (ts.isParenthesizedExpression(user)) user = user.parent;
  // A function that is handed on, as to Array.from, may run at once; one that is only declared may not.
  return !ts.isCallExpression(user) && !ts.isNewExpression(user);
}

/** The name that this node gives a new value, when it does: `a = 1`, `a += 1`, `a++`. */
function changedBy(node) {
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

/** Whether this is declared outside all functions of the module. */
function isOutermost(declaration, tree) {
  let at = declaration?.parent;
  while (at !== undefined && !ts.isFunctionLike(at) && !ts.isBlock(at) && !ts.isSourceFile(at)) at = at.parent;
  return at === tree;
}

function refuseCycle(path, parts, above) {
  const part = parts.get(path);
  if (above.includes(path))
    throw new Error(`modules that need each other to be defined: ${[...above, path].join(" ")}`);
  if (part.isChecked) return;
  for (const next of part.needs) refuseCycle(next, parts, [...above, path]);
  part.isChecked = true;
}
