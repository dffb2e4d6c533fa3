export { ContentSidCache, type ContentSidOptions, type Creator } from './content-sid-cache.ts';
