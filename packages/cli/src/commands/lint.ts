import { type Finding, type ImageError, isImageError } from "@guestprobe/block";
import { bootVerdict, Kernels, type Verdict } from "@guestprobe/boot";
import type { DialectName } from "@guestprobe/grub/script";
import { bootView } from "../boot-view.js";
import { EXIT } from "../exit.js";
import { EXPLANATIONS } from "../explanations.js";
import type { Guest } from "../guest.js";
import { deviceText, escapeGuestText } from "../output/escape.js";
import { findingJson } from "../output/output.js";
import { version } from "../program.js";
import type { Run } from "../verbs.js";
import { readXlGuest } from "../xl.js";
import { hostsOf } from "./boot-hosts.js";

export const lint: Run = async (context, words, options) => {
  const { out } = context;
  try {
    return await lintGuest(context, words, options);
  } catch (error) {
    // Whoever reads SARIF gets a document in any case, and in it why there is nothing else.
    if (isImageError(error) && options.sarif === true && !out.options.json) {
      out.json(sarif([...out.log.findings], undefined, error));
    }
    throw error;
  }
};

const lintGuest: Run = async (context, words, options) => {
  const { out } = context;
  const guest = await context.open(words, options);
  for (const volume of guest.volumes) await guest.fileSystem(volume);
  const view = bootView(guest, options, out);
  const kernels = new Kernels(view, { whole: true, signal: guest.signal });
  const xl = options.xl === undefined ? undefined : readXlGuest(options.xl as string);
  const verdicts: Verdict[] = [];
  for (const { profile, image } of hostsOf(options, xl)) {
    const dialect = options.grub as DialectName;
    verdicts.push(await bootVerdict(view, { profile, image, extra: xl?.cmdline, dialect, kernels }));
  }
  const all = unique([...out.log.findings, ...verdicts.flatMap(({ findings }) => findings)]);
  if (options.sarif === true) out.json(sarif(all, guest));
  else if (out.options.json) {
    out.json({
      schema: "guestprobe/lint/1",
      hosts: verdicts.map(({ profile }) => profile),
      findings: all.map(findingJson),
    });
  } else {
    for (const { severity, code, message, device, path, line } of all) {
      const file = `${device === undefined ? "" : deviceText(device)}${path === undefined ? "" : escapeGuestText(path)}`;
      const where = `${file}${line === undefined ? "" : `:${line}`}`;
      out.line(`${severity}: ${where === "" ? "" : `${where}: `}${escapeGuestText(message)} [${code}]`);
    }
    if (all.length === 0) out.line("no findings");
  }
  return all.some(({ severity }) => severity !== "note") ? EXIT.no : EXIT.yes;
};

const RANK = { error: 0, warning: 1, note: 2 } as const;

/** Each thing once, the worst first. */
function unique(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  const kept = findings.filter((entry) => {
    const key = JSON.stringify([findingJson(entry).where, entry.code, entry.message]);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
  return kept.toSorted((a, b) => RANK[a.severity] - RANK[b.severity]);
}

/**
 * The findings as SARIF 2.1.0 (OASIS), for tools that show such lists.
 *
 * @param ended What ended the run before its end.
 */
function sarif(findings: readonly Finding[], guest: Guest | undefined, ended?: ImageError): Record<string, unknown> {
  const codes = [...new Set(findings.map(({ code }) => code))];
  const imageOf = (device: string | undefined): string | undefined =>
    guest?.disks.find(({ name }) => device === name || device?.startsWith(`${name},`))?.image;
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "guestprobe",
            version: version(),
            rules: codes.map((id) => ({
              id,
              shortDescription: { text: EXPLANATIONS.get(id)?.title ?? id },
              fullDescription: { text: EXPLANATIONS.get(id)?.explanation ?? id },
            })),
          },
        },
        ...(ended === undefined
          ? {}
          : {
              invocations: [
                {
                  executionSuccessful: false,
                  toolExecutionNotifications: [{ level: "error", message: { text: escapeGuestText(ended.message) } }],
                },
              ],
            }),
        results: findings.map(({ code, severity, message, device, path, line, offset }) => {
          const inside = `${device === undefined ? "" : `(${device})`}${path === undefined ? "" : escapeGuestText(path)}`;
          const place = `${inside}${line === undefined || inside === "" ? "" : `:${line}`}`;
          const image = imageOf(device);
          return {
            ruleId: code,
            ruleIndex: codes.indexOf(code),
            level: severity,
            message: { text: `${place === "" ? "" : `${place}: `}${escapeGuestText(message)}` },
            locations:
              image === undefined
                ? []
                : [
                    {
                      physicalLocation: {
                        artifactLocation: { uri: uriOf(image) },
                        ...(offset === undefined ? {} : { region: { byteOffset: offset } }),
                      },
                      ...(inside === "" ? {} : { logicalLocations: [{ fullyQualifiedName: inside }] }),
                    },
                  ],
          };
        }),
      },
    ],
  };
}

/** The path of an image as a URI reference: what means something there is written as an escape. */
function uriOf(image: string): string {
  const path = image.split("/").map(encodeURIComponent).join("/");
  return path.startsWith("/") ? `file://${path}` : path;
}
