import { existsSync } from "node:fs";
import { ImageError } from "@guestprobe/block";
import { type HostProfile, PROFILES, profileById, setupOfImage, type XlGuest } from "@guestprobe/boot";
import type { DialectName } from "@guestprobe/grub/script";
import { UsageError } from "../exit.js";
import type { Options } from "../verbs.js";
import { readHostImage } from "./host.js";

/** A host to judge by: a profile, and the image whose own script stands in for the profile's. */
interface Host {
  readonly profile: HostProfile;
  readonly image?: ReturnType<typeof setupOfImage>;
}

/** The hosts that the command line asks for. */
export function hostsOf(options: Options, xl: XlGuest | undefined): readonly Host[] {
  const name = options.host as string | undefined;
  const mode = options.mode as string | undefined;
  if (options.allHosts === true) {
    if (name !== undefined) throw new UsageError("--all-hosts and --host do not go together");
    return PROFILES.filter((profile) => mode === undefined || profile.mode === mode).map((profile) => ({ profile }));
  }
  if (name === undefined && mode === undefined && xl !== undefined) return [hostOfXl(xl, options)];
  if (name === undefined) return [{ profile: PROFILES.find((profile) => profile.mode === (mode ?? "pv"))! }];
  const known = profileById(name);
  if (known !== undefined) {
    if (mode !== undefined && mode !== known.mode) throw new UsageError(`--host ${name} is of the mode ${known.mode}`);
    return [{ profile: known }];
  }
  if (!/[./]/.test(name)) {
    throw new UsageError(
      `--host ${name}: neither a file nor a known host`,
      PROFILES.map(({ id }) => `--host ${id}`),
    );
  }
  const host = hostOfImage(name, options);
  if (mode !== undefined && mode !== host.profile.mode) {
    throw new UsageError(`${name} is an image for the mode ${host.profile.mode}`);
  }
  return [host];
}

function hostOfImage(name: string, options: Options): Host {
  const image = readHostImage(name);
  const like = PROFILES.find(
    ({ loader, arch, container }) =>
      loader === "grub" && arch === image.arch && container === (image.platform === "xen_pvh" ? "pvh" : "pv"),
  )!;
  return { profile: { ...like, id: name, title: name }, image: setupOfImage(image, options.grub as DialectName) };
}

/** Names of loaders in kernel=, where the file itself is not at hand. */
const LOADERS: readonly (readonly [RegExp, string])[] = [
  [/pv-grub[^/]*$/, "pv-grub"],
  [/grub-x86_64-xen\.bin$|pvgrub64(\.bin)?$/, "debian-pv"],
  [/grub-i386-xen\.bin$|pvgrub32(\.bin)?$/, "debian-pv-i386"],
  [/grub-i386-xen_pvh\.bin$/, "debian-pvh"],
];

/** The loader that a Xen guest configuration asks for. */
function hostOfXl(xl: XlGuest, options: Options): Host {
  if (xl.type === "hvm")
    throw new ImageError("unsupported", "an HVM guest boots by its own firmware", { format: "xl.cfg" });
  if (xl.bootloader !== undefined) {
    if (!/(^|\/)pygrub$/.test(xl.bootloader)) {
      throw new ImageError("unsupported", `bootloader=${xl.bootloader} is not known`, { format: "xl.cfg" });
    }
    const pygrub = profileById("pygrub")!;
    return { profile: { ...pygrub, container: xl.type } };
  }
  const kernel = xl.kernel ?? xl.firmware ?? "";
  const known = LOADERS.find(([pattern]) => pattern.test(kernel))?.[1];
  if (known !== "pv-grub" && existsSync(kernel)) return hostOfImage(kernel, options);
  if (known !== undefined) return { profile: profileById(known)! };
  throw new ImageError("unsupported", `${kernel} is no loader that is known; --host names one`, { format: "xl.cfg" });
}
