/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame header and the identities of doc/wire.md. Called by ccm on every frame and at every handshake, with bytes from
 * the network: everything is checked, and what is accepted is written back byte for byte the same.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/model/mac.h"
#include "libssi/model/wire.h"

#define WIRE_MAGIC 0x5353
#define WIRE_VERSION 1
#define WIRE_FLAGS (SSI_WIRE_REPLY | SSI_WIRE_STDERR)

/* The 40 bytes as they are; every field is aligned by nature. */
struct wire_header {
	uint16_t magic;
	uint8_t version, flags;
	uint16_t module, type;
	uint32_t source, destination;
	uint64_t incarnation, sequence;
	uint32_t size, zero;
};
_Static_assert(sizeof(struct wire_header) == SSI_WIRE_HEADER, "no padding in the header");

int ssi_wire_decode(const uint8_t *p, struct ssi_frame *ret, struct ssi_err *e)
{
	struct wire_header h;

	memcpy(&h, p, sizeof(h));
	if (be16toh(h.magic) != WIRE_MAGIC)
		return ssi_errf(e, -EBADMSG, "not a frame (it begins with 0x%04x)", be16toh(h.magic));
	if (h.version != WIRE_VERSION)
		return ssi_errf(e, -EBADMSG, "frame of version %u, this is version %u", h.version, WIRE_VERSION);
	if (h.flags & ~WIRE_FLAGS)
		return ssi_errf(e, -EBADMSG, "frame with unknown flags 0x%02x", h.flags);
	if (!h.module || !h.type)
		return ssi_errf(e, -EBADMSG, "frame of module %u, type %u", be16toh(h.module), be16toh(h.type));
	if (be32toh(h.size) > SSI_WIRE_BODY_MAX)
		return ssi_errf(e, -EBADMSG, "frame with a body of %u bytes, at most %u are allowed", be32toh(h.size), SSI_WIRE_BODY_MAX);
	if (h.zero)
		return ssi_errf(e, -EBADMSG, "frame whose last bytes are not zero");
	*ret = (struct ssi_frame){
		.flags = h.flags, .module = be16toh(h.module), .type = be16toh(h.type),
		.source = be32toh(h.source), .destination = be32toh(h.destination),
		.incarnation = be64toh(h.incarnation), .sequence = be64toh(h.sequence), .size = be32toh(h.size),
	};
	return 0;
}

void ssi_wire_encode(const struct ssi_frame *f, uint8_t *p)
{
	struct wire_header h = {
		.magic = htobe16(WIRE_MAGIC), .version = WIRE_VERSION, .flags = f->flags,
		.module = htobe16(f->module), .type = htobe16(f->type),
		.source = htobe32(f->source), .destination = htobe32(f->destination),
		.incarnation = htobe64(f->incarnation), .sequence = htobe64(f->sequence), .size = htobe32(f->size),
	};

	memcpy(p, &h, sizeof(h));
}

static const char *const identity_kinds[] = { [SSI_IDENTITY_BOOT] = "boot:", [SSI_IDENTITY_NODE] = "node:" };

/* One spelling only, so that an identity can be compared as text: lower case, no leading zeros. */
int ssi_identity_parse(const char *s, struct ssi_identity *ret)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_BOOT };
	const char *colon = strrchr(s, ':');
	char mac[SSI_MAC_LEN];
	size_t n;

	if (!strncmp(s, identity_kinds[SSI_IDENTITY_NODE], 5))
		id.kind = SSI_IDENTITY_NODE;
	else if (strncmp(s, identity_kinds[SSI_IDENTITY_BOOT], 5) != 0)
		return -EINVAL;
	s += 5;
	if (colon < s || (n = colon - s) >= sizeof(id.who))
		return -EINVAL;
	memcpy(id.who, s, n);
	if (id.kind == SSI_IDENTITY_BOOT ? ssi_mac_parse(id.who, mac) < 0 || strcmp(id.who, mac) != 0 : !ssi_path_is_name(id.who))
		return -EINVAL;
	if (colon[1] == '0' || ssi_num_u64(colon + 1, 1, UINT64_MAX, &id.incarnation) < 0)
		return -EINVAL;
	*ret = id;
	return 0;
}

int ssi_identity_format(const struct ssi_identity *id, char *buf, size_t n)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "%s%s:%" PRIu64, identity_kinds[id->kind], id->who, id->incarnation);

	if ((size_t)len >= n)
		return -ENOSPC;
	memcpy(buf, text, (size_t)len + 1);
	return 0;
}
