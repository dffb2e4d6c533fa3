import type { FastifyReply, FastifyRequest } from 'fastify';
import { isHttps, type PublicAddress } from './same-origin.ts';

/** Longest cookie that is looked at; ours have some 400 characters. */
const CHARACTERS_MAX = 2048;

/** Over https the name says that no neighbour on another sub-domain can have set it; browsers see to that. */
const nameOf = (isSecure: boolean) => (isSecure ? '__Host-waxwing' : 'waxwing');

export function sessionCookieOf(request: FastifyRequest, address: PublicAddress): string | null {
  const value = request.cookies[nameOf(isHttps(request, address))];
  return value === undefined || value === '' || value.length > CHARACTERS_MAX ? null : value;
}

/** @param maxAgeSeconds absent = the browser forgets it when it is closed */
export function setSessionCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  address: PublicAddress,
  value: string,
  maxAgeSeconds?: number,
): void {
  const secure = isHttps(request, address);
  reply.setCookie(nameOf(secure), value, {
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure,
    ...(maxAgeSeconds === undefined ? {} : { maxAge: maxAgeSeconds }),
  });
}

export function clearSessionCookie(request: FastifyRequest, reply: FastifyReply, address: PublicAddress): void {
  const secure = isHttps(request, address);
  reply.clearCookie(nameOf(secure), { path: '/', httpOnly: true, sameSite: 'strict', secure });
}
