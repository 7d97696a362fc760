"""What ipa-tpi puts into the directory: schema, containers, indexes, the uniqueness plugin, ACIs."""
