"""The one lineage of migrations, run on both dialects, shipped inside the package."""
