export { buildApp, type HttpOptions } from './app.ts';
export { startServer, type HttpServer } from './server.ts';
export { createApiKeyCheck, type ApiKeyCheck } from './auth/api-keys.ts';
export { createJwtCheck, ROLES, signJwt, type JwtSettings, type Role } from './auth/jwt.ts';
export type { Access } from './plugins/auth.ts';
export type { AdminOptions } from './admin-options.ts';
export type { DashboardOptions } from './dashboard/parts.ts';
export type { HealthOptions } from './health/routes.ts';
export { buildMetricsApp } from './metrics-app.ts';

export type { SendEngineParts } from './board/send-engine-adapter.ts';
