import type { BlockDevice, Report, Run } from "@guestprobe/block";
import type { FileReference, ImageFormat, ImageInfo, ReferenceKind } from "./types.js";

/** A run of one image, before what lies below it is known. */
export type LayerRun =
  | Exclude<Run, { kind: "decoded" }>
  | (Extract<Run, { kind: "decoded" }> & { readonly physical: number })
  /** Not stored in this image: the one below has it, or else it is zero. */
  | { readonly kind: "absent"; readonly length: number };

/** One image of a chain, by itself. */
export interface Layer {
  readonly format: ImageFormat;
  readonly virtualSize: number;
  readonly sectorSize: number | undefined;
  readonly info: ImageInfo;
  /** What an image above knows this one by: a UUID, a content id. */
  readonly identity: string | undefined;
  readonly parent: ParentReference | undefined;
  /** The whole disk, where it lies in a file as it is and nothing needs mapping. */
  readonly plain?: BlockDevice;
  /** As `Mapping.locate` of packages/block. */
  locate(offset: number, length: number, signal?: AbortSignal): Promise<readonly LayerRun[]>;
}

export interface ParentReference extends FileReference {
  /** What the identity of the right parent would be; empty where the format does not say. */
  readonly identities: readonly string[];
}

/** What a format needs to open a layer. */
export interface LayerContext {
  readonly report: Report;
  readonly signal: AbortSignal | undefined;
  /** Bytes that this layer may keep. */
  readonly cacheBudget: number;
  readonly snapshot: string | undefined;
  /** Asks the caller for a file; when it is not supplied, that is reported. */
  supply(names: readonly string[], kind: ReferenceKind): Promise<BlockDevice | undefined>;
}

/** An info with nothing in it, to be spread under what a format knows. */
export const NO_INFO: ImageInfo = {
  subformat: undefined,
  clusterSize: undefined,
  references: [],
  snapshots: [],
  bitmaps: [],
  features: [],
  compression: undefined,
  creator: undefined,
};
