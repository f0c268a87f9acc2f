import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOTHING_INHERITED, readInherited } from './inherited.ts';

/** As nft 1.1 prints it. */
const LISTING = `table inet fairlead {
	map hostports4 {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 80 : 10.244.0.9 . 80 }
	}

	set tracked4 {
		type ipv4_addr
		elements = { 10.244.0.2,
			     10.244.0.3 }
	}

	set tracked6 {
		type ipv6_addr
	}

	set inside4 {
		type ipv4_addr
		flags interval
		elements = { 10.244.0.0/16, 192.168.1.2,
			     192.168.1.3-192.168.1.7, 224.0.0.0/4 }
	}

	set inside6 {
		type ipv6_addr
		flags interval
		elements = { fd00:192:168:1::2, ff00::/8 }
	}
}
`;

test('who is inside and who is tracked is read back; what it is not is left out', () => {
  assert.deepEqual(readInherited(LISTING), {
    inside: ['10.244.0.0/16', '192.168.1.2/32', '224.0.0.0/4', 'fd00:192:168:1::2/128', 'ff00::/8'],
    tracked: ['10.244.0.2', '10.244.0.3'],
  });
  assert.deepEqual(readInherited(undefined), NOTHING_INHERITED);
  assert.deepEqual(readInherited('table inet fairlead {\n}\n'), NOTHING_INHERITED);
});
