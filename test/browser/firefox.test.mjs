// @ts-check
import { carryThrough } from './carry.mjs';

carryThrough('firefox');
