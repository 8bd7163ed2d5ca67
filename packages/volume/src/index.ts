export { VOLUME_FINDINGS } from "./findings.js";
export type { AssembledVolumes, AssembleOptions, MappedVolume, VolumeMember } from "./types.js";
