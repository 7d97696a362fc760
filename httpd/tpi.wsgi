"""What mod_wsgi runs: the web service, with its one configuration file."""

from ipa_tpi.web.app import create_app

application = create_app("/etc/ipa/tpi/web.toml")
