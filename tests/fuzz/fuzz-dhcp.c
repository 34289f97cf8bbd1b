/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes in on the packet socket of "check": whatever it is, no byte beyond it is read. The first four bytes are the transaction. */
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "bootsvc/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp_offer offer;
	uint32_t xid;

	if (size < sizeof(xid))
		return 0;
	memcpy(&xid, data, sizeof(xid));
	dhcp_parse_offer(data + sizeof(xid), size - sizeof(xid), ntohl(xid), &offer);
	return 0;
}
