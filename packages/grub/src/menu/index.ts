export { type Escape, menuLines, placeText, planLines } from "./lines.js";
export type {
  BootMenu,
  BootPlan,
  DefaultChoice,
  MenuEntry,
  MenuLanguage,
  PlanDoubt,
  PlanFile,
} from "./types.js";
