import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../errors/catalogue.ts';

const CODES = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

/** Shape of every error answer. */
export const problemSchema = z
  .object({
    type: z.string().describe('urn:waxwing:error:<code>'),
    title: z.string(),
    status: z.int(),
    code: z.enum(CODES),
    detail: z.string().describe('What to do.'),
    field: z.string().optional().describe('The field at fault, as a path: text.body, messages[3].to.'),
    requestId: z.string(),
  })
  .meta({ id: 'Problem' });
