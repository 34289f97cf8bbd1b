/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file of its own: the programs that need names alone do not load GnuTLS. Called by the master's targets, and by a node when it has its key. */
#include "libssi/base/hash.h"
#include "libssi/model/iscsi.h"

int ssi_iscsi_secret(const uint8_t key[32], char ret[SSI_ISCSI_SECRET])
{
	uint8_t mac[SSI_HASH_BYTES];
	int r = ssi_hash_mac(key, 32, "ssi-iscsi-chap", mac);

	if (r == 0)
		ssi_hash_hex(mac, (SSI_ISCSI_SECRET - 1) / 2, ret);
	return r;
}
