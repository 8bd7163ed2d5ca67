import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";

const folder = fileURLToPath(new URL("../../schema/", import.meta.url));
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
for (const file of readdirSync(folder)) ajv.addSchema(JSON.parse(readFileSync(folder + file, "utf8")));

/** What a terminal obeys, or hides and reorders text by: never as it is, in a document neither. Line feeds are of the layout. */
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

function parse(text: string): Record<string, unknown> {
  const found = UNSAFE.exec(text)?.[0];
  if (found !== undefined) throw new Error(`the document holds U+${found.charCodeAt(0).toString(16)} as it is`);
  return JSON.parse(text) as Record<string, unknown>;
}

/** Parses a document and holds it against the published schema that it names. Throws with what does not fit. */
export function checkDocument(text: string): Record<string, unknown> {
  const document = parse(text);
  const validate = ajv.getSchema(`urn:${String(document.schema).replaceAll("/", ":")}`);
  if (validate === undefined) throw new Error(`no schema is published under the name ${String(document.schema)}`);
  const fits = validate(document) as boolean;
  if (!fits) throw new Error(`${String(document.schema)}: ${ajv.errorsText(validate.errors, { separator: "\n" })}`);
  if (Object.keys(document)[0] !== "schema") throw new Error("the schema is not named at the top");
  return document;
}

/**
 * What SARIF 2.1.0 (OASIS) asks of the objects that are written here: sarifLog 3.13, run 3.14, tool 3.18, toolComponent 3.19,
 * result 3.27, location 3.28, physicalLocation 3.29, region 3.30, logicalLocation 3.33, reportingDescriptor 3.49,
 * invocation 3.20, notification 3.58.
 */
const closed = (required: readonly string[], properties: object) => ({
  type: "object",
  additionalProperties: false,
  required,
  properties,
});
const string = { type: "string", minLength: 1 };
const index = { type: "integer", minimum: 0 };
const message = closed(["text"], { text: string });
const SARIF = closed(["version", "runs"], {
  $schema: string,
  version: { const: "2.1.0" },
  runs: {
    type: "array",
    items: closed(["tool"], {
      invocations: {
        type: "array",
        items: closed(["executionSuccessful"], {
          executionSuccessful: { type: "boolean" },
          toolExecutionNotifications: {
            type: "array",
            items: closed(["message"], { level: { enum: ["none", "note", "warning", "error"] }, message }),
          },
        }),
      },
      tool: closed(["driver"], {
        driver: closed(["name"], {
          name: string,
          version: string,
          rules: {
            type: "array",
            uniqueItems: true,
            items: closed(["id"], { id: string, shortDescription: message, fullDescription: message }),
          },
        }),
      }),
      results: {
        type: "array",
        items: closed(["message"], {
          ruleId: string,
          ruleIndex: index,
          level: { enum: ["none", "note", "warning", "error"] },
          message,
          locations: {
            type: "array",
            items: closed([], {
              physicalLocation: closed(["artifactLocation"], {
                artifactLocation: closed(["uri"], {
                  uri: { type: "string", pattern: "^[A-Za-z0-9._~!$&'()*+,;=:@%/-]+$" },
                }),
                region: closed(["byteOffset"], { byteOffset: index }),
              }),
              logicalLocations: {
                type: "array",
                items: closed(["fullyQualifiedName"], { fullyQualifiedName: string }),
              },
            }),
          },
        }),
      },
    }),
  },
});

const fitsSarif = new Ajv2020({ strict: true, strictRequired: false, allErrors: true }).compile(SARIF);

/** Parses a SARIF document and holds it against the standard. Throws with what does not fit. */
export function checkSarif(text: string): Record<string, unknown> {
  const document = parse(text);
  if (!fitsSarif(document)) throw new Error(`SARIF: ${ajv.errorsText(fitsSarif.errors, { separator: "\n" })}`);
  return document;
}
