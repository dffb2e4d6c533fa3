export { STOPPED_STATUSES } from './holds.ts';
export { previewOf, variablesOf, type TemplatePreview, type TemplateVariable } from './preview.ts';
export { createTemplates, type SyncResult, type TemplateDraft, type TemplateRegistry } from './registry.ts';
export { ContentSidCache, type ContentSidOptions, type Creator } from './content-sid-cache.ts';
