/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The images that nodes are to boot: there, readable, whole. The manifest is held against the generation's name and the files against
 * the sizes in it; their digests, which takes long, are 'ssi-mkimage verify'.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "bootsvc/check.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/path.h"
#include "libssi/comm/json.h"

#define MANIFEST_MAX (64u << 20)

static void report(struct check_report *r, const char *image, const char *file, const char *what)
{
	check_problem(r, "'ssi-mkimage verify' says more; build it again with 'ssi-mkimage build'", "image %s: its %s %s", image, file, what);
}

static void check_file(const char *generation, const char *image, const char *name, const json_t *file, struct check_report *r)
{
	_cleanup_free_ char *path = ssi_path_is_name(name) ? ssi_path_join(generation, name) : NULL;
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		report(r, image, name, "is not there or cannot be read");
	else if (st.st_size != ssi_json_int(file, "size"))
		report(r, image, name, "has another size than its manifest says");
}

/* Its manifest has the digest that it is named by. */
static bool manifest_matches(const char *generation, const char *manifest)
{
	const char *name = strrchr(generation, '/');
	char hex[SSI_HASH_HEX];

	return name && strncmp(name, "/sha256-", 8) == 0 && ssi_hash_file(manifest, hex) == 0 && strcmp(name + 8, hex) == 0;
}

static void check_image(const struct check_context *c, const char *image, struct check_report *r)
{
	_cleanup_free_ char *current = ssi_path_join3(c->options->store, image, "current"), *text = NULL, *manifest = NULL;
	_cleanup_free_ char *generation = current ? realpath(current, NULL) : NULL;
	_cleanup_json_ json_t *j = NULL;
	const char *name;
	json_t *file;

	if (!generation) {
		check_problem(r, "build it with 'ssi-mkimage build', or name another image in nodes.d ('ssi-mkimage list' has those there are)",
			      "image %s: there is none in %s", image, c->options->store);
		return;
	}
	manifest = ssi_path_join(generation, "manifest.json");
	if (!manifest || ssi_file_read(manifest, MANIFEST_MAX, &text, NULL) < 0) {
		report(r, image, "manifest.json", "is not there or cannot be read");
		return;
	}
	j = json_loads(text, 0, NULL);
	if (!json_is_object(json_object_get(j, "files")) || !manifest_matches(generation, manifest)) {
		report(r, image, "manifest.json", "is damaged");
		return;
	}
	json_object_foreach(json_object_get(j, "files"), name, file)
		check_file(generation, image, name, file, r);
}

/* Each image once, however many nodes have it. */
void check_images(const struct check_context *c, struct check_report *r)
{
	_cleanup_json_ json_t *seen = json_object();
	const char *image;
	json_t *nodes;

	if (!c->registry) {
		check_unknown(r, "nodes.d has mistakes");
		return;
	}
	for (size_t i = 0; i < c->registry->n_nodes; i++) {
		const char *name = c->registry->nodes[i]->image;

		json_object_set_new(seen, name, json_integer(ssi_json_int(seen, name) + 1));
	}
	json_object_foreach(seen, image, nodes) {
		if (*image)
			check_image(c, image, r);
		else
			check_problem(r, "write 'image = NAME' in [system] or [node]", "%lld nodes have no image", (long long)json_integer_value(nodes));
	}
	if (!r->problem)
		check_note(r, "%zu in use, all whole", json_object_size(seen));
}
