export type { StatsReport } from './report.ts';
export { createStats, STATS_DAYS_MAX, type Statistics, type StatsQuery } from './service.ts';
