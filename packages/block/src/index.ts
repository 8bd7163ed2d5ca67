export {
  describePlace,
  ERROR_CODES,
  type ErrorCode,
  type ErrorPlace,
  ImageError,
  type ImageErrorOptions,
  isImageError,
  throwIfAborted,
} from "./errors.js";
export {
  type Finding,
  type FindingKind,
  FindingLog,
  finding,
  findingFromError,
  type Report,
  type Severity,
} from "./finding.js";
export { alignDown, alignUp, checkedAdd, checkedMul, isPowerOfTwo, isU64None, joinU64 } from "./u64.js";
