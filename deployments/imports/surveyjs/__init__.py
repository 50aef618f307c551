"""SurveyJS (https://surveyjs.io): definitions and results as JSON, read; definitions written."""
