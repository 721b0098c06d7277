# SPDX-License-Identifier: LGPL-2.1-or-later
# make          builds the page into dist/
# make run      a demo host with guests and Cockpit, until Ctrl-C (as root)
# make check    everything that matters on real hosts (as root); make check-all: every combination
# make bench    what the page costs, printed
# make install  DESTDIR=, PREFIX=/usr/local; make deb, rpm, srpm, dist: see pkg/packages.mk

.PHONY: all run lab-machine check check-all bench pictures codecheck shellcheck hostcheck watch clean install devel-install

all: dist/manifest.json

include pkg/packages.mk

TYPESCRIPT = node test/lab/run.mjs
JEST = NODE_OPTIONS="--experimental-vm-modules --no-warnings" npx jest
SCRIPTS = $(shell git ls-files '*.sh' .ci test/lab/lab pkg/host/50-kvm-tap pkg/host/kvm-tap-device pkg/host/kvm-tap-generator pkg/host/kvm-tap-nft pkg/host/kvm-tap-trace \
	'pkg/debian/*.postinst' 'pkg/debian/*.prerm' 'pkg/debian/*.postrm')

# A link to another checkout's packages is left alone.
node_modules/.package-lock.json: package-lock.json
	test -L node_modules || npm ci --no-audit --no-fund
	touch $@

dist/manifest.json: node_modules/.package-lock.json build.mjs manifest.json package.json $(shell find src po -type f)
	node build.mjs
	touch $@

# The Debian packages that the lab needs on this machine; PACKAGES are further groups of it.
lab-machine:
	test/lab/setup-machine.sh $(PACKAGES)

run: lab-machine all
	$(TYPESCRIPT) test/lab/demo.ts

check check-all: PACKAGES = checks packages
check: lab-machine all
	node test/check.mjs
check-all: lab-machine all
	node test/check.mjs --all

bench: PACKAGES = checks packages
bench: lab-machine all deb
	$(TYPESCRIPT) test/bench/bench.ts

# The pictures of the documentation, taken by the browser test that looks at every page.
pictures: lab-machine all deb
	KVM_TAP_PICTURES=docs/pictures $(JEST) --selectProjects=browser --runTestsByPath test/browser/looks.test.ts

codecheck: node_modules/.package-lock.json
	npx tsc -p .
	npx eslint --max-warnings 0 src test
	$(MAKE) --no-print-directory shellcheck hostcheck

shellcheck:
	shellcheck $(SCRIPTS)

# The host's part: types, as its oldest Python has them, and unit tests.
hostcheck:
	cd pkg/host && mypy --strict --python-version 3.9 --cache-dir ../../output/mypy kvm_tap
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=pkg/host /usr/bin/python3 -m unittest discover --start-directory test/unit/kvm_tap

watch: node_modules/.package-lock.json
	node build.mjs --watch

clean:
	rm -rf dist output

install: install-host install-page

# The page of this checkout in the Cockpit of this user; the host files are installed as for everybody.
devel-install: all
	mkdir -p $(HOME)/.local/share/cockpit
	ln -sfn $(CURDIR)/dist $(HOME)/.local/share/cockpit/kvm-tap
