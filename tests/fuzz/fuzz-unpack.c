/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any message as a program, and any as a piece of a file: two bytes are the size of the first. What is asked for is never more than there are files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"
#include "ssi/rexec/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/ssi-fuzz-XXXXXX", job[64];

static void gone(void)
{
	ssi_path_rmtree(folder);
}

static struct ssi_blobs *store(void)
{
	struct ssi_blobs *b = NULL;
	_cleanup_free_ char *path = NULL;

	if (!mkdtemp(folder))
		abort();
	atexit(gone);
	snprintf(job, sizeof(job), "%s/job", folder);
	path = ssi_path_join(folder, "blobs");
	if (!path || mkdir(job, 0700) < 0 || ssi_blobs_open(path, 1u << 20, &b, NULL) < 0)
		abort();
	return b;
}

static void pieces(struct ssi_unpack *u, size_t most, const uint8_t *data, size_t size)
{
	Ssi__Job__Blob *m = ssi__job__blob__unpack(NULL, size, data);
	ProtobufCBinaryData name = { 2, (uint8_t *)"it" };
	struct ssi_unpacked x = { 0 };
	Ssi__Job__Need need;

	if (ssi_unpack_need(u, &need) > most)
		abort();
	if (m && ssi_unpack_piece(u, m, NULL) > 0 && ssi_unpack_need(u, &need) != 0)
		abort();
	if (m)
		ssi__job__blob__free_unpacked(m, NULL);
	if (ssi_unpack_make(u, 1, &name, 0, NULL, &x, NULL) >= 0 && (!x.path || !x.argv[0]))
		abort();
	ssi_unpacked_free(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ssi_blobs *b;
	Ssi__Job__Program *m = NULL;
	struct ssi_unpack *u = NULL;
	size_t n;

	if (size < 2)
		return 0;
	if (!b)
		b = store();
	n = (size_t)data[0] | (size_t)data[1] << 8;
	if (n <= size - 2)
		m = ssi__job__program__unpack(NULL, n, data + 2);
	if (m && ssi_unpack_new(m, b, job, getuid(), getgid(), &u, NULL) >= 0)
		pieces(u, 3 + m->n_libraries + m->n_trees, data + 2 + n, size - 2 - n);
	ssi_unpack_free(u);
	if (m)
		ssi__job__program__free_unpacked(m, NULL);
	return 0;
}
