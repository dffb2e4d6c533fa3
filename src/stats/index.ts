export { createStats, STATS_DAYS_MAX, type Statistics, type StatsQuery, type StatsReport } from './service.ts';
