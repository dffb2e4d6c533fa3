export { previewOf, variablesOf, type TemplatePreview, type TemplateVariable } from './preview.ts';
export {
  createTemplates,
  STOPPED_STATUSES,
  type SyncResult,
  type TemplateDraft,
  type TemplateRegistry,
} from './registry.ts';
export { ContentSidCache, type ContentSidOptions, type Creator } from './content-sid-cache.ts';
