"""What is deployed: the locked dependencies, the image's recipe, compose and Kubernetes files."""
