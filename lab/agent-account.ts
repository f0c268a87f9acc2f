/** What agents may do in a lab: what the manifest's roles allow them in a cluster, so that a missing verb shows here. */
import { parseAllDocuments } from 'yaml';
import { renderChart, type Values } from '../src/tools/chart/chart.ts';
import { type Grant, grantsTo, type RoleObject } from './api/access/authorize.ts';

const ACCOUNT = 'fairlead';
/** Where agents that run in no pod tell how they are. */
const NAMESPACE = 'kube-system';

/** @param values of the chart. */
export function agentGrants(values: Values): Grant[] {
  return grantsTo(
    ACCOUNT,
    parseAllDocuments(renderChart(values, NAMESPACE)).map((document) => document.toJS() as RoleObject),
  );
}
