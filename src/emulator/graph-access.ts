import type { FastifyRequest } from 'fastify';
import { GraphError } from './graph-error.ts';
import type { NumberState } from './numbers.ts';
import type { World } from './world.ts';

export interface GraphParams {
  readonly version?: string;
  readonly id: string;
}

const VERSION = /^v\d{1,2}\.\d$/;

/** Checks the bearer token and the version in the path. Throws the `GraphError` that the Graph API answers with. */
export function authorise(world: World, request: FastifyRequest<{ Params: GraphParams }>): void {
  const { version } = request.params;
  if (version !== undefined && !VERSION.test(version)) throw unknownPath(request.url);
  const token = /^Bearer\s+(\S+)\s*$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined)
    throw new GraphError(190, {
      message: 'An access token is required to request this resource.',
      details: 'Send the access token as Authorization: Bearer <token>.',
    });
  const { accessTokens } = world.settings();
  if (accessTokens !== null && !accessTokens.includes(token))
    throw new GraphError(190, {
      message: 'Invalid OAuth access token - Cannot parse access token',
      details: 'The access token is not one of those that this emulator was told to accept.',
    });
}

/** The number that a path names. Throws code 100, subcode 33, when it is not an id or not a known one. */
export function phoneNumberOf(world: World, request: FastifyRequest<{ Params: GraphParams }>): NumberState {
  const { id } = request.params;
  const known = /^\d{1,32}$/.test(id) && (!world.settings().knownNumbersOnly || id in world.settings().numbers);
  if (!known) throw unknownObject(id, 'post');
  return world.numbers.get(id);
}

export function unknownObject(id: string, method: string): GraphError {
  return new GraphError(100, {
    subcode: 33,
    message: `Unsupported ${method} request. Object with ID '${id.slice(0, 64)}' does not exist, cannot be loaded due to missing permissions, or does not support this operation.`,
    details: 'Check the phone number id in the path.',
  });
}

export function unknownPath(url: string): GraphError {
  const path = (url.split('?')[0] ?? '').slice(0, 200);
  return new GraphError(2500, { status: 400, message: `Unknown path components: ${path}`, details: '' });
}
