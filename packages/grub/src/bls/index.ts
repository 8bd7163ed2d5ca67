export {
  type BlsEntry,
  type BlsField,
  blsField,
  blsFields,
  compareVersions,
  expandBlsValue,
  isBlsFileName,
  parseBlsEntry,
  sortBlsEntries,
} from "./entry.js";
export { type BlsMenuOptions, blsMenu, blsPlan } from "./menu.js";
