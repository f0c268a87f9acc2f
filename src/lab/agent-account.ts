/** What agents may do in a lab: what the manifest's roles allow them in a cluster, so that a missing verb shows here. */
import { parseAllDocuments } from 'yaml';
import { renderChart } from '../chart/chart.ts';
import { type Grant, grantsTo, type RoleObject } from './api/authorize.ts';

const ACCOUNT = 'fairlead';

export function agentGrants(): Grant[] {
  return grantsTo(
    ACCOUNT,
    parseAllDocuments(renderChart()).map((document) => document.toJS() as RoleObject),
  );
}
