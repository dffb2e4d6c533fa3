import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import { newId } from '../util/ids.ts';
import { healthRoutes, type HealthOptions } from './health/routes.ts';
import { metricsRoutes, type MetricsRouteOptions } from './metrics/routes.ts';
import { auth, type AuthOptions } from './plugins/auth.ts';
import { errors } from './plugins/errors.ts';
import { validatorCompiler } from './plugins/validation.ts';

/** What every role answers at METRICS_PORT: `/health`, `/ready` and `/metrics`, and nothing else. */
export async function buildMetricsApp(options: {
  readonly auth: Omit<AuthOptions, 'openPrefixes'>;
  readonly health: HealthOptions;
  readonly metrics: MetricsRouteOptions;
  readonly logger: FastifyBaseLogger;
}): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: () => newId(),
    bodyLimit: 1024,
    forceCloseConnections: 'idle',
  }) as FastifyInstance;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  await app.register(errors);
  await app.register(auth, { ...options.auth, openPrefixes: [] });
  healthRoutes(app, options.health);
  metricsRoutes(app, options.metrics);
  await app.ready();
  return app;
}
