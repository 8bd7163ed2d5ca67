import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";

const folder = fileURLToPath(new URL("../../schema/", import.meta.url));
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
for (const file of readdirSync(folder)) ajv.addSchema(JSON.parse(readFileSync(folder + file, "utf8")));

/** Parses a document and holds it against the published schema that it names. Throws with what does not fit. */
export function checkDocument(text: string): Record<string, unknown> {
  const document = JSON.parse(text) as Record<string, unknown>;
  const validate = ajv.getSchema(`urn:${String(document.schema).replaceAll("/", ":")}`);
  if (validate === undefined) throw new Error(`no schema is published under the name ${String(document.schema)}`);
  const fits = validate(document) as boolean;
  if (!fits) throw new Error(`${String(document.schema)}: ${ajv.errorsText(validate.errors, { separator: "\n" })}`);
  if (Object.keys(document)[0] !== "schema") throw new Error("the schema is not named at the top");
  return document;
}
