"""The report: findings in sentences with their evidence, the standing questions, and the forms they are told in."""
