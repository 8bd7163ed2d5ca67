export { type LiloConfig, type LiloEntry, type LiloOption, liloMenu, liloPlan, parseLilo } from "./lilo.js";
export type { LegacyCommand } from "./lines.js";
export {
  type AutomagicOption,
  type LegacyConfig,
  type LegacyEntry,
  type LegacyMenuOptions,
  legacyMenu,
  legacyPlan,
  parseLegacy,
} from "./parse.js";
export { type LegacyStep, type LegacyTranslation, translateLegacy } from "./translate.js";
